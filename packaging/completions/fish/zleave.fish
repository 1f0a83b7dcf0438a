# Completion of zleave for fish. Made by `cargo xtask completions` of what --help says.

complete -c zleave -f -a '(__fish_complete_users)'
complete -c zleave -s m -x -d 'what to remind you of'
complete -c zleave -l help -d ''
complete -c zleave -l version -d ''
