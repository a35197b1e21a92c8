package execfn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"github.com/frayrpc/fray/fray"
)

// Bounds of what is kept.
const (
	// DefaultMaxOutputBytes is how much is kept of the beginning of each output, MaxOutputBytes how
	// much a Command can ask for.
	DefaultMaxOutputBytes = 8 << 20
	MaxOutputBytes        = 16 << 20
	// MaxResultBytes is how much is kept of the beginnings of both together. In base64 and with
	// both ends they have less than the 16 MiB that a controller takes.
	MaxResultBytes = 11 << 20
	// TailBytes is how much is kept of the end of an output that is longer.
	TailBytes = 64 << 10
	// maxTailBytes is how much of the end of the error output the text of a failure carries.
	maxTailBytes = 2 << 10
	// inlineBytes is how long an output becomes before it goes to a file, if it can.
	inlineBytes = 4 << 10
	// objectBytes is how long an output becomes before it goes to an object, where it is to.
	objectBytes = 64 << 10
	// ObjectHeaderBytes is how much stands before an output in its object. Objects are known by what they
	// have, and two commands that print the same must not share one: each client releases its own.
	ObjectHeaderBytes = 64
)

// output keeps what is written to it, as far as it is to be kept, in memory or in a file. It takes
// everything, so that the program never waits for it, until the file cannot be written.
type output struct {
	limit   int
	inline  int    // how long it becomes before it goes to path or store
	path    string // of the file that takes what is longer; empty: there is none
	file    *os.File
	store   *objectStore // takes what is longer; nil: there is none
	head    []byte
	tail    []byte // the end of what is not in head, or with a file the end of all
	written int64
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.written += int64(len(p))
	switch {
	case o.path != "":
		return o.spill(p)
	case o.store != nil:
		return o.send(p)
	}
	rest := p
	if room := o.limit - len(o.head); room > 0 {
		n := min(room, len(p))
		o.head = append(o.head, p[:n]...)
		rest = p[n:]
	}
	o.keepTail(rest, TailBytes)
	return len(p), nil
}

func (o *output) keepTail(p []byte, limit int) {
	o.tail = append(o.tail, p[max(0, len(p)-limit):]...)
	if over := len(o.tail) - limit; over > 0 {
		o.tail = append(o.tail[:0], o.tail[over:]...)
	}
}

// spill keeps p in the file, or in memory while it is short.
func (o *output) spill(p []byte) (int, error) {
	o.keepTail(p, maxTailBytes)
	if o.file == nil && len(o.head)+len(p) <= o.inline {
		o.head = append(o.head, p...)
		return len(p), nil
	}
	if o.file == nil {
		if err := o.create(); err != nil {
			return 0, fmt.Errorf("keep output: %w", err)
		}
	}
	if _, err := o.file.Write(p); err != nil {
		return 0, fmt.Errorf("keep output: %w", err)
	}
	return len(p), nil
}

// create makes the file, and moves to it what there is.
func (o *output) create() error {
	const folderMode, fileMode = 0o700, 0o600 // for the owner only
	if err := os.Mkdir(filepath.Dir(o.path), folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	file, err := os.OpenFile(o.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	o.file = file
	_, err = file.Write(o.head)
	o.head = nil
	return err
}

// send gives p to the object, or keeps it in memory while it is short.
func (o *output) send(p []byte) (int, error) {
	o.keepTail(p, maxTailBytes)
	if !o.store.begun() && len(o.head)+len(p) <= o.inline {
		o.head = append(o.head, p...)
		return len(p), nil
	}
	if !o.store.begun() {
		o.store.begin()
		head := o.head
		o.head = nil
		if _, err := o.store.Write(head); err != nil {
			return 0, fmt.Errorf("keep output: %w", err)
		}
	}
	if _, err := o.store.Write(p); err != nil {
		return 0, fmt.Errorf("keep output: %w", err)
	}
	return len(p), nil
}

// close closes the file, and completes the object.
func (o *output) close() error {
	if o.store != nil {
		return o.store.close()
	}
	if o.file == nil {
		return nil
	}
	return o.file.Close()
}

// end is the last limit bytes of the output, or as many as are known.
func (o *output) end(limit int) []byte {
	end := o.tail
	if o.path == "" && o.store == nil && len(end) < limit {
		end = append(o.head[max(0, len(o.head)-limit+len(end)):len(o.head):len(o.head)], end...)
	}
	return end[max(0, len(end)-limit):]
}

// kept is what a Result says of the output if at most limit bytes of its beginning are to be in it.
func (o *output) kept(limit int, name string) (head []byte, truncated bool, more *More) {
	if o.file != nil {
		return nil, false, &More{Bytes: o.written, File: name}
	}
	if o.store != nil && o.store.ref != nil {
		return nil, false, &More{Bytes: o.written, Tail: o.end(maxTailBytes), Object: o.store.ref}
	}
	head = o.head[:min(limit, len(o.head))]
	beyond := o.written - int64(len(head))
	if beyond == 0 {
		return head, false, nil
	}
	return head, true, &More{Bytes: o.written, Tail: o.end(int(min(TailBytes, beyond)))}
}

// shares returns how much of two outputs, kept to a and b bytes, a result has room for.
func shares(a, b int) (int, int) {
	const half = MaxResultBytes / 2
	switch {
	case a+b <= MaxResultBytes:
		return a, b
	case a <= half:
		return a, MaxResultBytes - a
	case b <= half:
		return MaxResultBytes - b, b
	default:
		return half, half
	}
}

// outputs are both of a program.
type outputs struct {
	stdout, stderr         output
	stdoutName, stderrName string // of their files
}

// newOutputs returns outputs that are kept as a command asks for, or where it asks for nothing in
// files below dir, if there is one. Of earlier attempts of the task, the files are removed: what
// these printed counts no more.
func newOutputs(ctx context.Context, c *Command, dir string, info fray.TaskInfo) (*outputs, error) {
	o := &outputs{}
	if dir == "" || c.MaxOutputBytes != 0 || info.TaskID == "" {
		if c.OutputObjects && c.MaxOutputBytes == 0 && info.TaskID != "" {
			o.stdout.inline, o.stderr.inline = objectBytes, objectBytes
			o.stdout.store = newObjectStore(ctx, info, "out")
			o.stderr.store = newObjectStore(ctx, info, "err")
			return o, nil
		}
		limit := cmp.Or(c.MaxOutputBytes, DefaultMaxOutputBytes)
		o.stdout.limit, o.stderr.limit = limit, limit
		return o, nil
	}
	folder := OutputFolder(info.TaskID)
	if info.Attempt > 1 {
		if err := os.RemoveAll(filepath.Join(dir, folder)); err != nil {
			return nil, fmt.Errorf("make room for output: %w", err)
		}
	}
	if !c.Live {
		o.stdout.inline, o.stderr.inline = inlineBytes, inlineBytes
	}
	base := folder + "/" + strconv.Itoa(info.Attempt)
	o.stdoutName, o.stderrName = base+".out", base+".err"
	o.stdout.path, o.stderr.path = filepath.Join(dir, o.stdoutName), filepath.Join(dir, o.stderrName)
	return o, nil
}

// OutputFolder is the folder below Config.OutputDir that has the files of a task: More.File names
// files in it only.
func OutputFolder(taskID string) string { return url.PathEscape(taskID) }

// result says what was printed, beside an exit code.
func (o *outputs) result(exitCode int) Result {
	r := Result{ExitCode: exitCode}
	out, err := shares(len(o.stdout.head), len(o.stderr.head))
	r.Stdout, r.StdoutTruncated, r.StdoutMore = o.stdout.kept(out, o.stdoutName)
	r.Stderr, r.StderrTruncated, r.StderrMore = o.stderr.kept(err, o.stderrName)
	return r
}

func (o *outputs) close() error { return errors.Join(o.stdout.close(), o.stderr.close()) }
