package maprun

import (
	"fmt"
	"io"
	"strings"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/visible"
)

const (
	// Failures that the summary describes.
	maxFailuresShown = 20
	// Lines that it quotes of each one's standard error.
	maxTailLines = 5
)

// summary counts how the commands of a map ended.
type summary struct {
	succeeded, failed, notRun int
	skipped                   int    // those that ended before
	halted                    string // why no further ones were started; empty: none were left out so
	enough                    bool   // and it was what was wanted
	shown                     []failure
}

// failure is a command that failed.
type failure struct {
	name   string
	taskID string
	why    string
	where  string // which attempt, and on which worker
	stderr string
}

func (s *summary) add(f failure) {
	s.failed++
	if len(s.shown) < maxFailuresShown {
		f.stderr = strings.Clone(tail(f.stderr)) // lets go of the rest
		s.shown = append(s.shown, f)
	}
}

// print writes what failed, if something did, and returns [ErrFailed] then. more says that there
// are inputs that were not counted.
func (s *summary) print(w io.Writer, more bool) error {
	total := s.succeeded + s.failed + s.notRun
	if total == 0 && s.skipped == 0 {
		fmt.Fprintln(w, "fray map: no inputs")
	}
	if s.skipped > 0 {
		fmt.Fprintf(w, "fray map: %s not run again: the log has them\n", wording.Count(number.Clamp[uint64](s.skipped), "command"))
	}
	if s.halted != "" {
		fmt.Fprintf(w, "fray map: halted, since %s\n", s.halted)
	}
	if s.failed == 0 && (s.notRun == 0 || s.enough) {
		return nil
	}
	fmt.Fprintf(w, "fray map: %d of %s failed", s.failed, wording.Count(number.Clamp[uint64](total), "command"))
	if s.notRun > 0 {
		fmt.Fprintf(w, ", %d not run to the end", s.notRun)
	}
	if more {
		fmt.Fprint(w, ", further inputs not read")
	}
	fmt.Fprintln(w)
	for _, f := range s.shown {
		fmt.Fprintf(w, "  %s: %s%s\n", visible.Line(f.name), visible.Line(f.why), visible.Line(f.where))
		if f.stderr != "" {
			fmt.Fprintf(w, "    | %s\n", strings.ReplaceAll(visible.Text(f.stderr), "\n", "\n    | "))
		}
	}
	if rest := s.failed - len(s.shown); rest > 0 {
		fmt.Fprintf(w, "  and %d more\n", rest)
	}
	if s.enough {
		return nil
	}
	return ErrFailed
}

// tail is the last lines of a text.
func tail(text string) string {
	text = strings.TrimRight(text, "\n")
	start := len(text)
	for range maxTailLines {
		if start = strings.LastIndexByte(text[:start], '\n'); start < 0 {
			return text
		}
	}
	return text[start+1:]
}
