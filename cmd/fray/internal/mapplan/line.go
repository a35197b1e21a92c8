package mapplan

import (
	"errors"
	"slices"
)

// A Source is where arguments come from.
type Source struct {
	// Values are those of the command line; nil: Path is the file that has them, one a line; "-": the
	// standard input.
	Values []string
	Path   string
	// Linked: its first value goes with the first one of the source before, and so on.
	Linked bool
}

// Line is what the words of a command line say.
type Line struct {
	Command []string
	Sources []Source
}

// What stands between a command and its sources.
const (
	valuesFollow       = ":::"
	linkedValuesFollow = ":::+"
	filesFollow        = "::::"
	linkedFilesFollow  = "::::+"
)

var separators = []string{valuesFollow, linkedValuesFollow, filesFollow, linkedFilesFollow}

// Errors of a line.
var (
	ErrNoCommand   = errors.New("which command? give it after --, such as: fray map -- gzip -9 {} ::: *.log")
	ErrNothingLeft = errors.New("there is nothing before it that its values could be linked with: ::: or :::: has to come first")
	ErrNoFile      = errors.New("no file follows it")
)

// Split cuts words into a command and its sources: values after ":::", files after "::::", and with a "+"
// those that are linked with the source before. Sources that are given in another way are in before.
func Split(words []string, before []Source) (Line, error) {
	isSeparator := func(word string) bool { return slices.Contains(separators, word) }
	end := slices.IndexFunc(words, isSeparator)
	if end < 0 {
		end = len(words)
	}
	line := Line{Command: words[:end], Sources: slices.Clip(before)}
	for rest := words[end:]; len(rest) > 0; {
		separator := rest[0]
		next := slices.IndexFunc(rest[1:], isSeparator) + 1
		if next == 0 {
			next = len(rest)
		}
		values := rest[1:next]
		rest = rest[next:]
		linked := separator == linkedValuesFollow || separator == linkedFilesFollow
		if linked && len(line.Sources) == 0 {
			return Line{}, &LineError{separator, ErrNothingLeft}
		}
		if separator == valuesFollow || separator == linkedValuesFollow {
			line.Sources = append(line.Sources, Source{Values: append([]string{}, values...), Linked: linked})
			continue
		}
		if len(values) == 0 {
			return Line{}, &LineError{separator, ErrNoFile}
		}
		for _, path := range values {
			line.Sources = append(line.Sources, Source{Path: path, Linked: linked})
		}
	}
	return line, nil
}

// A LineError is about a separator of the command line.
type LineError struct {
	Separator string
	err       error
}

// Error names the separator.
func (e *LineError) Error() string { return e.Separator + ": " + e.err.Error() }

// Unwrap returns what is wrong.
func (e *LineError) Unwrap() error { return e.err }
