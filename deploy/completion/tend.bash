# bash completion for tend: what asks the running engine as the engine knows it (names of processes, checks and remedies, commands
# of its flow); other commands, options and choices as `tend help` tells them; names of flows from their folders.
_tend() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words="" dir
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    words=$(tend help --complete "$cur" 2>/dev/null | cut -f1)
  else
    case " ${COMP_WORDS[*]:0:COMP_CWORD} " in *" -- "*) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;; esac
    [ "$command:$COMP_CWORD:${cur:0:1}" != test:2:- ] || prev=--
    case $prev in
      --flow-name | test)
        for dir in ${CONTAINER_FLOWS_DIR//:/ } flows /etc/tend/flows /usr/local/share/tend/flows /usr/share/tend/flows; do
          words+=" $(cd "$dir" 2>/dev/null && printf '%s\n' *.lua | sed -n 's/\.lua$//p' | grep -v -e '\*' -e '_spec$')"
        done
        ;;
      explain) words=$(tend explain 2>/dev/null | sed -n 's/^  \([^ ]*\) .*/\1/p') ;;
      help) words=$(tend help --complete "" 2>/dev/null | cut -f1) ;;
      *)
        words=$(tend help --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)
        if [ -z "$words" ]; then
          case $prev in
            --*)
              # "--mode managed|simple" has choices; an option with another value takes a file
              words=$(tend help "$command" 2>/dev/null | sed -n "s/^  $prev \([^ ]*\) .*/\1/p")
              case $words in
                *[a-z]'|'[a-z]*) words=${words//|/ } ;;
                "") words=$(tend help "$command" 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p') ;;
                *) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
              esac
              ;;
            *)
              words=$(tend help "$command" 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')
              [ "${cur#-}" != "$cur" ] || { mapfile -t COMPREPLY < <(compgen -f -- "$cur"); }
              ;;
          esac
        fi
        ;;
    esac
  fi
  mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _tend tend
