package maprun

import "strings"

// placeholder stands for the input in the arguments of a command.
const placeholder = "{}"

// Command is a program and its arguments before an input is put into them.
type Command []string

// With returns the arguments for an input: it is put in place of each {}, or at the end if there is
// none.
func (c Command) With(input string) []string {
	argv := make([]string, 0, len(c)+1)
	found := false
	for _, arg := range c {
		found = found || strings.Contains(arg, placeholder)
		argv = append(argv, strings.ReplaceAll(arg, placeholder, input))
	}
	if !found {
		argv = append(argv, input)
	}
	return argv
}
