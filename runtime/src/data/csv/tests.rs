//! Tables as they are met.

use super::*;

pub fn dialect(header: bool, skip: usize) -> Dialect {
    Dialect { header, skip, separator: None, missing: vec!["?".into()], decimal: '.', texts: false }
}

fn table(text: &str, dialect: Dialect) -> Result<Table> {
    Table::from_text("t.csv".into(), text.as_bytes().to_vec(), dialect)
}

fn cells(table: &Table) -> Vec<Vec<String>> {
    let mut rows = table.rows();
    let mut out = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        out.push(row.iter().map(|cell| text_of(cell).into_owned()).collect());
    }
    out
}

#[test]
fn separators_are_found_out() {
    let cases = [
        ("1,2\n3,4\n", Separator::Byte(b',')),
        ("1;2\r\n3;4\r\n", Separator::Byte(b';')),
        ("1\t2\n3\t4", Separator::Byte(b'\t')),
        ("  1  2\n 3 4 \n", Separator::Spaces),
        ("\u{feff}1, 2\n\n3, 4\n \n", Separator::Byte(b',')),
    ];
    for (text, separator) in cases {
        let table = table(text, dialect(false, 0)).unwrap();
        assert_eq!(table.separator, separator, "{text:?}");
        assert_eq!(cells(&table), [["1", "2"], ["3", "4"]], "{text:?}");
        assert_eq!((table.rows, table.columns), (2, 2));
    }
}

#[test]
fn quotes_headers_and_skipped_lines() {
    let text = "junk, of, four, cells\nname,\"size, mm\"\n\"a \"\"b\"\"\",1\n\"two\nlines\",2\n";
    let table = table(text, dialect(true, 1)).unwrap();
    assert_eq!(table.header, ["name", "size, mm"]);
    assert_eq!(cells(&table), [["a \"b\"", "1"], ["two\nlines", "2"]]);
    assert_eq!(table.column("size, mm"), Some(1));
}

#[test]
fn a_decimal_comma() {
    let dialect = Dialect { decimal: ',', ..dialect(false, 0) };
    let table = table("1,5;2\n2,5;3,25\n", dialect).unwrap();
    assert_eq!(table.separator, Separator::Byte(b';'));
    assert_eq!(table.number(b"3,25"), Some(3.25));
    assert_eq!(table.number(b"3.25"), None);
}

#[test]
fn numbers_and_words() {
    let number = |text: &str| number(text.as_bytes(), '.');
    assert_eq!(number("-1.5e3"), Some(-1500.0));
    assert_eq!(number("+7"), Some(7.0));
    for word in ["", "inf", "NaN", "1e999", "1,5", "x", "-", "1 2", "0x10", "e"] {
        assert_eq!(number(word), None, "{word}");
    }
}

#[test]
fn an_odd_row_is_placed() {
    let error = table("1,2,3\n4,5,6\n7,8\n", dialect(false, 0)).unwrap_err();
    assert_eq!(error.code, "E0508");
    assert_eq!(error.message, "row 3 has 2 columns, but the rows above have 3");
    let At::Cell(cell) = &error.at else { panic!("{error}") };
    assert_eq!((cell.line, cell.column, cell.span), (3, 2, (2, 3)));
    let error = table("569,30,malignant,benign\n1,2,3\n4,5,6\n", dialect(false, 0)).unwrap_err();
    assert!(error.help.as_ref().unwrap().contains("skip = 1"), "{error}");
}

#[test]
fn places_count_blank_lines_and_quoted_cells() {
    let table = table("a,b\n\n\"x, y\", 1\n\n\"u\",  word \n", dialect(true, 0)).unwrap();
    let At::Cell(cell) = table.place(1, 1) else { panic!() };
    assert_eq!((cell.line, cell.column), (5, 2));
    assert_eq!(&cell.text[cell.span.0..cell.span.1], "word");
    let At::Cell(cell) = table.place(0, 0) else { panic!() };
    assert_eq!((cell.line, &cell.text[cell.span.0..cell.span.1]), (3, "\"x, y\""));
}

#[test]
fn long_lines_are_clipped() {
    let mut line: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
    line[500] = "word".into();
    let table = table(&line.join(","), dialect(false, 0)).unwrap();
    let At::Cell(cell) = table.place(0, 500) else { panic!() };
    assert!(cell.text.len() < 200);
    assert_eq!(&cell.text[cell.span.0..cell.span.1], "word");
}

#[test]
fn what_is_not_a_table() {
    for text in ["", "\n\n", "a,b\n"] {
        assert_eq!(table(text, dialect(true, 0)).unwrap_err().code, "E0502", "{text:?}");
    }
    assert_eq!(table("1,\0\n", dialect(false, 0)).unwrap_err().code, "E0502");
    assert_eq!(table("1,2\n", dialect(false, 9)).unwrap_err().code, "E0502");
}

#[test]
fn a_quote_that_is_never_closed_swallows_nothing_silently() {
    let error = table("1,a\n2,\"b\n3,c\n4,d\n", dialect(false, 0)).unwrap_err();
    assert_eq!((error.code, error.message.as_str()), ("E0502", "a quote in row 2 is never closed"));
    for whole in ["1,\"a\nb\"\n", "1,5\"\n2,6\"\n", "1,a\n2,5\"\n\n", "1,2\n\"\n\"\n"] {
        assert!(table(whole, dialect(false, 0)).is_ok(), "{whole:?}");
    }
    assert!(table("\"\n\"\n\"\n,", dialect(false, 0)).is_err());
}
