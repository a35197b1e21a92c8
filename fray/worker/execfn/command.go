package execfn

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/frayrpc/fray/fray"
)

// Command is what to run. Its texts may have any bytes but NUL, as those of the operating system.
type Command struct { //nolint:recvcheck // A value has to encode itself, too.
	// Argv is the program and its arguments. Without a slash in its name, the program is looked for
	// in the worker's PATH. There is no shell, unless Argv names one.
	Argv []string
	// Stdin is the program's input; empty: none.
	Stdin []byte
	// Env is added to what the command sees of the worker's own environment, as "NAME=value".
	Env []string
	// Dir is where it runs. Empty: where the worker does.
	Dir string
	// AllowNonzero makes an exit code other than 0 a result like any other, not a failure.
	AllowNonzero bool
	// MaxOutputBytes is how much to keep of the beginning of each output, up to MaxOutputBytes. 0:
	// DefaultMaxOutputBytes, or with Config.OutputDir all of it.
	MaxOutputBytes int
}

// commandJSON is a Command as it travels.
type commandJSON struct {
	Argv           []text `json:"argv"`
	Stdin          []byte `json:"stdin,omitempty"`
	Env            []text `json:"env,omitempty"`
	Dir            text   `json:"dir,omitempty"`
	AllowNonzero   bool   `json:"allow_nonzero,omitempty"`
	MaxOutputBytes int    `json:"max_output_bytes,omitempty"`
}

// MarshalJSON implements json.Marshaler. The package documentation tells how it writes texts.
func (c Command) MarshalJSON() ([]byte, error) {
	return json.Marshal(commandJSON{texts(c.Argv), c.Stdin, texts(c.Env), text(c.Dir), c.AllowNonzero, c.MaxOutputBytes})
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Command) UnmarshalJSON(data []byte) error {
	var j commandJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*c = Command{plain(j.Argv), j.Stdin, plain(j.Env), string(j.Dir), j.AllowNonzero, j.MaxOutputBytes}
	return nil
}

// check returns what is wrong with c on any worker.
func (c *Command) check() error {
	if len(c.Argv) == 0 || c.Argv[0] == "" {
		return errors.New("run program: argv is empty")
	}
	if c.MaxOutputBytes < 0 || c.MaxOutputBytes > MaxOutputBytes {
		return fmt.Errorf("run program: max_output_bytes %d is not from 0 to %d", c.MaxOutputBytes, MaxOutputBytes)
	}
	for i, arg := range c.Argv {
		if strings.IndexByte(arg, 0) >= 0 {
			return fmt.Errorf("run program: argv[%d] has a NUL byte, which no argument can have", i)
		}
	}
	for i, entry := range c.Env {
		if strings.IndexByte(entry, 0) >= 0 || strings.IndexByte(entry, '=') < 1 {
			return fmt.Errorf("run program: env[%d] is not like NAME=value without NUL bytes", i)
		}
	}
	if strings.IndexByte(c.Dir, 0) >= 0 {
		return errors.New("run program: dir has a NUL byte, which no name can have")
	}
	return nil
}

// Result is how a program ended.
type Result struct {
	// Stdout and Stderr are its outputs, or of one that is longer than is kept the beginning. One
	// that is in a file is empty here.
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	// ExitCode is 128 and the signal's number for a program that a signal ended, as in a shell; in
	// a failure, -1 if it did not end by itself.
	ExitCode int `json:"exit_code"`
	// StdoutTruncated and StderrTruncated say that there was more than is kept.
	StdoutTruncated bool `json:"stdout_truncated,omitempty"`
	StderrTruncated bool `json:"stderr_truncated,omitempty"`
	// StdoutMore and StderrMore are set for an output that is not all in Stdout or Stderr.
	StdoutMore *More `json:"stdout_more,omitempty"`
	StderrMore *More `json:"stderr_more,omitempty"`
}

// More is what there is of an output besides the beginning.
type More struct {
	// Bytes is how long the whole output was.
	Bytes int64 `json:"bytes"`
	// Tail is its end, at most TailBytes, if it was truncated. What is between the beginning and
	// the end is lost.
	Tail []byte `json:"tail,omitempty"`
	// File is the file that has all of it, below the worker's Config.OutputDir.
	File string `json:"file,omitempty"`
}

// ExitError is the failure of a program that ran and ended with another exit code than 0.
type ExitError struct {
	Program  string
	ExitCode int
	// Stderr is the end of the error output, at most 2 KiB.
	Stderr string
}

// Error names the program, its exit code and the end of its error output.
func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s: exit code %d", e.Program, e.ExitCode)
	if tail := strings.TrimSpace(e.Stderr); tail != "" {
		text += ": " + tail
	}
	return text
}

// OutputOf returns what a program had printed that failed, was stopped or ran past its timeout: in
// its last attempt, if it had several. err is what the task ended with. It reports false if that is
// not known.
func OutputOf(err error) (Result, bool) { return fray.DetailsOf[Result](err) }
