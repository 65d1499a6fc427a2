autocmd BufNewFile,BufRead *.dl setfiletype dl
