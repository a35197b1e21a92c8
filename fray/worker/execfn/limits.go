package execfn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/spelling"
)

// Limits are resource limits of each process of a command, by the names of [LimitNames]; see
// setrlimit(2). A name that is missing has the limit of the worker. Only Linux has them here, and
// only programs that call [Launch].
//
// Its processes inherit them, and each is counted by itself; but processes counts all those of one
// user, and binds no process of root.
type Limits map[string]uint64

const (
	limitCPU       = "cpu"
	limitMemory    = "memory"
	limitFiles     = "files"
	limitProcesses = "processes"
	limitFileSize  = "file-size"
	limitCore      = "core"
)

// LimitNames are the limits that there are: cpu is in seconds of computing; memory is the bytes of
// address space; files is how many are open; processes is how many there are, threads included;
// file-size is the bytes of a file that is written; core is those of a core file.
var LimitNames = []string{limitCPU, limitMemory, limitFiles, limitProcesses, limitFileSize, limitCore}

// maxLimit bounds every limit, in its unit.
const maxLimit = 1 << 60

// SetAll takes in limits as Set does, with commas between them.
func (l Limits) SetAll(text string) error {
	for limit := range strings.SplitSeq(text, ",") {
		if err := l.Set(limit); err != nil {
			return err
		}
	}
	return nil
}

// Set takes in a limit like cpu=10m, memory=2GiB or files=256: a duration, which is rounded up to
// whole seconds; a size; or a number. 0 is for file-size and core only.
func (l Limits) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok {
		return fmt.Errorf("%q is not like memory=2GiB", text)
	}
	n, err := parseLimit(name, value)
	if err != nil {
		return fmt.Errorf("%q: %w", text, err)
	}
	l[name] = n
	return nil
}

func parseLimit(name, value string) (uint64, error) {
	switch name {
	case limitCPU:
		d, err := number.ParseDuration(value)
		if err != nil || d <= 0 {
			return 0, errors.New("it is not a duration such as 30s or 1h30m")
		}
		return number.Clamp[uint64](number.Seconds(d)), nil
	case limitFiles, limitProcesses:
		return number.Parse[uint64](value, 1, maxLimit)
	case limitMemory, limitFileSize, limitCore:
		digits, unit := number.CutUnit(value, number.AllUnits)
		low := uint64(0)
		if name == limitMemory {
			low = 1
		}
		of := number.Clamp[uint64](unit)
		n, err := number.Parse(digits, low, maxLimit/of)
		return n * of, err
	}
	hint := ""
	if near := spelling.Nearest(name, LimitNames); near != "" {
		hint = fmt.Sprintf(": did you mean %q?", near)
	}
	return 0, fmt.Errorf("there is no such limit, only %s%s", strings.Join(LimitNames, ", "), hint)
}

// String is how SetAll takes it.
func (l Limits) String() string {
	var list []string
	for _, name := range LimitNames {
		value, ok := l[name]
		switch {
		case !ok:
		case name == limitCPU:
			list = append(list, name+"="+number.ShortDuration(number.FromSeconds(number.Clamp[int64](value))))
		default:
			list = append(list, fmt.Sprintf("%s=%d", name, value))
		}
	}
	return strings.Join(list, ",")
}

// check returns an error if commands of this process cannot have the limits: because one is more
// than the hard limit of this process, or the system has no way.
func (l Limits) check() error {
	if len(l) == 0 {
		return nil
	}
	for name := range l { // the first of those that are wrong, whichever
		if !slices.Contains(LimitNames, name) {
			return fmt.Errorf("%q: there is no such limit, only %s", name, strings.Join(LimitNames, ", "))
		}
	}
	if !launched {
		return errors.New("the program does not call execfn.Launch, by which commands get their limits")
	}
	return l.hold()
}
