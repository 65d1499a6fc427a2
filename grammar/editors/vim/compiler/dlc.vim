" `:make` checks the file and fills the quickfix list.
if exists('current_compiler')
  finish
endif
let current_compiler = 'dlc'

CompilerSet makeprg=dlc\ check\ --format\ short\ %:S
CompilerSet errorformat=%f:%l:%c:\ %t%*[a-z]%m
