package mapplan

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// operation is what a replacement string takes of an argument.
type operation string

const (
	opWhole   operation = ""
	opNoExt   operation = "."
	opBase    operation = "/"
	opDir     operation = "//"
	opBareExt operation = "/."
)

// apply takes that of an argument.
func (o operation) apply(arg string) string {
	switch o {
	case opNoExt:
		return withoutExtension(arg)
	case opBase:
		return baseName(arg)
	case opDir:
		return dirName(arg)
	case opBareExt:
		return withoutExtension(baseName(arg))
	default:
		return arg
	}
}

// withoutExtension is a name up to its last dot, if that is in its last part.
func withoutExtension(name string) string {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 || strings.IndexByte(name[dot:], '/') >= 0 {
		return name
	}
	return name[:dot]
}

func baseName(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// dirName is the folder that a name is in: "." for one without slashes. A slash at its end does not count.
func dirName(name string) string {
	trimmed := strings.TrimRight(name, "/")
	if trimmed == "" && name != "" {
		return "/"
	}
	slash := strings.LastIndexByte(trimmed, '/')
	if slash < 0 {
		return "."
	}
	if dir := strings.TrimRight(trimmed[:slash], "/"); dir != "" {
		return dir
	}
	return "/"
}

// kind says what a part of a word is.
type kind int

const (
	literal kind = iota
	argument
	sequence
	slot
)

// part is a part of a word of a template.
type part struct {
	kind     kind
	text     string // of a literal
	position int    // of an argument; 0: all, below: from the last on
	op       operation
}

// Template is a command with replacement strings in its words:
//
//	{}           the argument; if there are several, all of them
//	{.}          the same without its extension
//	{/} {//}     what stands behind its last slash, and before
//	{/.}         what stands behind its last slash, without the extension
//	{n} {-n}     the n-th argument, or the n-th from the end; also {n.} {n/} {n//} {n/.}
//	{#}          the number of the job, from 1 on
//	{%}          the number of the slot that the job runs in, from 1 on
//
// A word that is just {} becomes as many words as there are arguments; within a longer word, they have
// spaces between them. A word that is just {n} falls away if there is no n-th argument. In a command
// without any, the arguments come last. ${1} and ${#} are left to a shell.
type Template struct {
	words []templateWord
	// appends: the arguments come last.
	appends bool
}

type templateWord []part

var replacement = regexp.MustCompile(`^\{(?:(#)|(%)|(-?[0-9]{1,4})?(\.|//|/\.|/)?)\}`)

// ParseTemplate reads the words of a command, of which at least the first is there. all is what stands for
// all arguments; empty: {}.
func ParseTemplate(words []string, all string) Template {
	t := Template{appends: true}
	for _, word := range words {
		parsed := parseWord(word, all)
		if slices.ContainsFunc(parsed, func(p part) bool { return p.kind != literal }) {
			t.appends = false
		}
		t.words = append(t.words, parsed)
	}
	return t
}

func parseWord(word, all string) templateWord {
	var parts templateWord
	start := 0
	flush := func(end int) {
		if end > start {
			parts = append(parts, part{kind: literal, text: word[start:end]})
		}
	}
	for i := 0; i < len(word); {
		p, n := parsePart(word[i:], all)
		if n == 0 || i > 0 && word[i-1] == '$' && isVariable(p) {
			i++
			continue
		}
		flush(i)
		parts = append(parts, p)
		i += n
		start = i
	}
	flush(len(word))
	return parts
}

// isVariable says whether a part behind a dollar sign is a shell's: ${1} or ${#}.
func isVariable(p part) bool {
	return p.kind == sequence || p.kind == argument && p.position > 0 && p.op == opWhole
}

// parsePart reads the replacement string that text begins with, and returns its length; 0: there is none.
func parsePart(text, all string) (p part, length int) {
	if all != "" && all != braces {
		if strings.HasPrefix(text, all) {
			return part{kind: argument}, len(all)
		}
		if strings.HasPrefix(text, braces) {
			return part{}, 0
		}
	}
	if text[0] != '{' {
		return part{}, 0
	}
	m := replacement.FindStringSubmatch(text)
	if m == nil {
		return part{}, 0
	}
	switch {
	case m[1] != "":
		return part{kind: sequence}, len(m[0])
	case m[2] != "":
		return part{kind: slot}, len(m[0])
	}
	p = part{kind: argument, op: operation(m[4])}
	if m[3] != "" {
		p.position, _ = strconv.Atoi(m[3]) // a few digits
		if p.position == 0 {
			return part{}, 0
		}
	}
	return p, len(m[0])
}

const braces = "{}"

// HasSlot says whether {%} is in the template.
func (t Template) HasSlot() bool { return t.has(func(p part) bool { return p.kind == slot }) }

// MaxPosition is the highest n of its {n}; 0: there is none.
func (t Template) MaxPosition() int {
	most := 0
	t.has(func(p part) bool {
		most = max(most, p.position)
		return false
	})
	return most
}

func (t Template) has(is func(part) bool) bool {
	return slices.ContainsFunc(t.words, func(w templateWord) bool { return slices.ContainsFunc(w, is) })
}

// Expand returns the words of the command for the arguments of a job and its number. slot is what {%}
// becomes.
func (t Template) Expand(args []string, number int, slot string) []string {
	argv := make([]string, 0, len(t.words)+len(args))
	for _, w := range t.words {
		if len(w) == 1 && w[0].kind == argument {
			argv = append(argv, w[0].arguments(args)...)
			continue
		}
		var b strings.Builder
		for _, p := range w {
			switch p.kind {
			case literal:
				b.WriteString(p.text)
			case argument:
				b.WriteString(strings.Join(p.arguments(args), " "))
			case sequence:
				b.WriteString(strconv.Itoa(number))
			default:
				b.WriteString(slot)
			}
		}
		argv = append(argv, b.String())
	}
	if t.appends {
		argv = append(argv, args...)
	}
	return argv
}

// arguments are those that the part stands for.
func (p part) arguments(args []string) []string {
	switch {
	case p.position > 0:
		args = args[min(p.position-1, len(args)):min(p.position, len(args))]
	case p.position < 0:
		from := len(args) + p.position
		if from < 0 {
			return nil
		}
		args = args[from : from+1]
	}
	if p.op == opWhole {
		return args
	}
	taken := make([]string, len(args))
	for i, arg := range args {
		taken[i] = p.op.apply(arg)
	}
	return taken
}

var (
	named = regexp.MustCompile(`(^|[^$@])\{([A-Za-z_][\w.]*|[\w.+:/%#-]{1,8})\}`)
	// bracing are programs in whose language words stand in braces.
	bracing = []string{"awk", "gawk", "mawk", "nawk", "perl", "sed", "jq", "yq", "python", "python3", "ruby"}
)

// Strange returns what in the words of a command looks like a replacement string and is none, each once, in
// their order. Words of programs whose language has braces are not looked at.
func Strange(words []string, all string) []string {
	if len(words) == 0 || slices.Contains(bracing, baseName(words[0])) {
		return nil
	}
	var found []string
	for _, word := range words {
		for rest := word; ; {
			m := named.FindStringSubmatchIndex(rest)
			if m == nil {
				break
			}
			token := rest[m[4]-1 : m[5]+1]
			rest = rest[m[5]:]
			if _, n := parsePart(token, all); n == 0 && token != all && token != braces && !strings.Contains(token, "..") && !slices.Contains(found, token) {
				found = append(found, token)
			}
		}
	}
	return found
}

// shellCharacters are those that a shell makes something of.
const shellCharacters = " \t\n|&;<>()$`\\\"'*?[~"

// ShellHint says how a command that is one word is given to a shell, if it looks as if that was meant;
// empty: it does not.
func ShellHint(words []string) string {
	if len(words) != 1 || !strings.ContainsAny(words[0], shellCharacters) {
		return ""
	}
	script := strings.ReplaceAll(words[0], braces, `"$1"`)
	if script == words[0] && !strings.Contains(script, "{") {
		script += ` "$1"`
	}
	return fmt.Sprintf("%s is taken for the name of a program, since no shell is involved; if you mean a shell: fray map -- sh -c %s sh {}", Quote(words[0]), Quote(script))
}

// Quote is a word as one would type it in a shell.
func Quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("%+,-./:=@_", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// QuoteAll is a command as one would type it in a shell.
func QuoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = Quote(word)
	}
	return strings.Join(quoted, " ")
}
