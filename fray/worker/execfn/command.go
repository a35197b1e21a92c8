package execfn

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
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

	// StdinFile is a file below the worker's Config.OutputDir that is the program's input, in place of
	// Stdin. A worker without such a directory refuses it.
	StdinFile string
	// Live has outputs go to files from their first byte on, where a worker has Config.OutputDir, so that a
	// client of the same machine can read them while the program runs.
	Live bool
	// OutputObjects has what is longer than 64 KiB of an output become an object of the task's job, where a
	// worker has no Config.OutputDir: More.Object names it, and the client has to release it. Nothing
	// of it is lost, and the worker has a piece of it in memory. While the controller has no room for it,
	// the program waits.
	OutputObjects bool
	// SlotMark is a text that the number of the command's slot stands for wherever it is in Argv; empty:
	// none is. Slots count from Config.FirstSlot, and no two commands that run at once on a worker have
	// the same.
	SlotMark string
	// Account has the result say where, when and for how long the program ran.
	Account bool
}

// commandJSON is a Command as it travels.
type commandJSON struct {
	Argv           []text `json:"argv"`
	Stdin          []byte `json:"stdin,omitempty"`
	Env            []text `json:"env,omitempty"`
	Dir            text   `json:"dir,omitempty"`
	AllowNonzero   bool   `json:"allow_nonzero,omitempty"`
	MaxOutputBytes int    `json:"max_output_bytes,omitempty"`
	StdinFile      text   `json:"stdin_file,omitempty"`
	Live           bool   `json:"live,omitempty"`
	OutputObjects  bool   `json:"output_objects,omitempty"`
	SlotMark       text   `json:"slot_mark,omitempty"`
	Account        bool   `json:"account,omitempty"`
}

// MarshalJSON implements json.Marshaler. The package documentation tells how it writes texts.
func (c Command) MarshalJSON() ([]byte, error) {
	return json.Marshal(commandJSON{
		texts(c.Argv), c.Stdin, texts(c.Env), text(c.Dir), c.AllowNonzero, c.MaxOutputBytes,
		text(c.StdinFile), c.Live, c.OutputObjects, text(c.SlotMark), c.Account,
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Command) UnmarshalJSON(data []byte) error {
	var j commandJSON
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	*c = Command{
		plain(j.Argv), j.Stdin, plain(j.Env), string(j.Dir), j.AllowNonzero, j.MaxOutputBytes,
		string(j.StdinFile), j.Live, j.OutputObjects, string(j.SlotMark), j.Account,
	}
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
	if len(c.Stdin) > 0 && c.StdinFile != "" {
		return errors.New("run program: it has both stdin and stdin_file: give one of them")
	}
	if c.StdinFile != "" && !filepath.IsLocal(c.StdinFile) {
		return fmt.Errorf("run program: stdin_file %q is not below the worker's directory for output", c.StdinFile)
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
	// Account is set where the command asked for it, and its program was started.
	Account *Account `json:"account,omitempty"`
}

// Account says where and when a program ran.
type Account struct {
	// Host is the name of the machine; empty: it has none.
	Host string `json:"host,omitempty"`
	// Slot is the number of its slot, from Config.FirstSlot on.
	Slot int `json:"slot"`
	// StartMicros is when it was started, in microseconds of Unix time; TookMicros how long it took.
	StartMicros int64 `json:"start_us"`
	TookMicros  int64 `json:"took_us"`
	// Signal is the number of the signal that ended it; 0: none did.
	Signal int `json:"signal,omitempty"`
}

// More is what there is of an output besides the beginning.
type More struct {
	// Bytes is how long the whole output was.
	Bytes int64 `json:"bytes"`
	// Tail is its end, at most TailBytes, if it was truncated. What is between the beginning and
	// the end is lost, unless Object has it.
	Tail []byte `json:"tail,omitempty"`
	// File is the file that has all of it, below the worker's Config.OutputDir.
	File string `json:"file,omitempty"`
	// Object has all of it, behind ObjectHeaderBytes bytes that make it differ from every other one. Nil: no
	// object has.
	Object *fray.Ref[[]byte] `json:"object,omitempty"`
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
