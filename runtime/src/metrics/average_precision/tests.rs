//! Against what pycocotools says.
