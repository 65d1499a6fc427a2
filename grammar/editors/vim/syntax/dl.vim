" Highlighting of the dlc model language.
if exists('b:current_syntax')
  finish
endif

syntax keyword dlStarter import dim const block model data train generate field augment layer param predict scan state yield
syntax keyword dlConnective on over in repeat if then else and or not
syntax keyword dlConstant true false
syntax keyword dlUnit epochs epoch steps step minutes minute hours hour
syntax match dlNumber '\<\d\+\(\.\d\+\)\?\([eE][+-]\?\d\+\)\?%\?'
syntax match dlType '\<\u\w*'
syntax match dlCall '\<\l\w*\ze('
syntax match dlStage '|>\s*\zs\l\w*' contains=dlStarter,dlConnective
syntax match dlOperator '|>\|->\|<-\|\.\.\|[-+*/^=<>]'
syntax region dlText start='"' skip='\\.' end='"' oneline
syntax match dlComment '#.*$'
syntax match dlDocumentation '##.*$'

highlight default link dlStarter Statement
highlight default link dlConnective Conditional
highlight default link dlConstant Boolean
highlight default link dlUnit Type
highlight default link dlNumber Number
highlight default link dlType Type
highlight default link dlCall Function
highlight default link dlStage Function
highlight default link dlOperator Operator
highlight default link dlText String
highlight default link dlComment Comment
highlight default link dlDocumentation SpecialComment

let b:current_syntax = 'dl'
