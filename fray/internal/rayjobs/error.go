package rayjobs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// What an answer can mean.
var (
	// ErrNotRay: what answers does not speak Ray's API.
	ErrNotRay = errors.New("it is not the dashboard of a Ray cluster")
	// ErrTooOld: the cluster runs a release that does not have what is asked for.
	ErrTooOld = errors.New("its Ray is too old")
	// ErrUnauthorized: the cluster wants a token, or another one.
	ErrUnauthorized = errors.New("it does not let the caller in")
	// ErrUnknown: the cluster does not know the job or the package.
	ErrUnknown = errors.New("it knows none of that name")
	// ErrRefused: Ray understands the request and does not do it.
	ErrRefused = errors.New("it refuses")
)

// said is a line of a traceback that names an exception.
var said = regexp.MustCompile(`^[A-Za-z][\w.]*: \S`)

// maxErrorText is how much of an answer an error quotes, in bytes.
const maxErrorText = 500

// answerError is what a call ends with that was answered with anything but success.
type answerError struct {
	call   string // such as "POST http://head:8265/api/jobs/"
	status int
	text   string // of the answer, cut
	kind   error  // nil: the server is not well
}

func (e *answerError) Error() string {
	meaning := ""
	if e.kind != nil {
		meaning = ": " + e.kind.Error()
	}
	return fmt.Sprintf("%s%s: answered with status %d: %s", e.call, meaning, e.status, e.text)
}

func (e *answerError) Unwrap() error { return e.kind }

// quote returns the text of an answer on one line, cut. Of Python tracebacks, which are what Ray
// answers with, it is the line that says what happened.
func quote(body []byte) string {
	text := strings.TrimSpace(strings.ToValidUTF8(string(body), "\uFFFD"))
	if strings.HasPrefix(text, "Traceback (most recent call last)") {
		for line := range strings.Lines(text) {
			if said.MatchString(line) {
				text = line // The last one stays.
			}
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return "no text"
	}
	return fmt.Sprintf("%q", Cut(text, maxErrorText))
}

// Cut returns the beginning of a text that is longer than a number of bytes, and says that it is one.
func Cut(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	for bytes > 0 && !utf8.RuneStart(text[bytes]) {
		bytes--
	}
	return text[:bytes] + "…"
}

// Tail returns the last lines of a text, as many as fit into a number of bytes, and at most so many.
func Tail(text string, lines, bytes int) string {
	text = strings.TrimRight(text, "\n")
	if len(text) > bytes {
		text = text[len(text)-bytes:]
		if _, rest, ok := strings.Cut(text, "\n"); ok {
			text = rest
		}
		text = strings.ToValidUTF8(text, "")
	}
	all := strings.Split(text, "\n")
	return strings.Join(all[max(len(all)-lines, 0):], "\n")
}
