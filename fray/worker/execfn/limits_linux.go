package execfn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/frayrpc/fray/internal/children"
)

var resources = map[string]int{
	limitCPU: unix.RLIMIT_CPU, limitMemory: unix.RLIMIT_AS, limitFiles: unix.RLIMIT_NOFILE,
	limitProcesses: unix.RLIMIT_NPROC, limitFileSize: unix.RLIMIT_FSIZE, limitCore: unix.RLIMIT_CORE,
}

// hold returns an error if a limit is more than the hard one of this process.
func (l Limits) hold() error {
	for _, name := range LimitNames {
		value, ok := l[name]
		if !ok {
			continue
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(resources[name], &now); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if value > now.Max {
			return fmt.Errorf("%s: %d is more than this process may have, which is %d: raise its hard limit, or give less", name, value, now.Max)
		}
	}
	return nil
}

const (
	// launcherName is what this program is called when it is to become a command with limits. Its
	// arguments are the limits, the path of the command's program, and the command's arguments.
	launcherName = "fray-exec-launcher"
	// launcherArgs is how many arguments there are at least.
	launcherArgs = 4
	// launcherPipe is the file on which it tells why it cannot become the command, and
	// launcherEnviron the one that has the command's environment, with NUL bytes between entries.
	// Its own is empty: what a task gives could have the system load other code into it.
	launcherPipe    = 3
	launcherEnviron = 4
)

// start starts cmd with the limits. Go runs nothing of its caller's between fork and exec, so this
// program is started once more, whose Launch sets the limits and then becomes the command.
func (l Limits) start(cmd *exec.Cmd) (err error) {
	if len(l) == 0 || cmd.Err != nil {
		return children.Start(cmd)
	}
	pipe, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer closeAll([]*os.File{pipe})
	theirEnviron, environ, err := os.Pipe()
	if err != nil {
		closeAll([]*os.File{theirs})
		return err
	}
	path := cmd.Path
	entries := strings.Join(cmd.Environ(), "\x00")
	cmd.Args = append([]string{launcherName, l.String(), path}, cmd.Args...)
	cmd.Path = "/proc/self/exe" // also where the command's user cannot get to the program by its name
	cmd.Env = []string{}
	cmd.ExtraFiles = []*os.File{theirs, theirEnviron}
	err = children.Start(cmd)
	closeAll(cmd.ExtraFiles)
	cmd.Path, cmd.Args = path, cmd.Args[launcherArgs-1:]
	if err == nil {
		_, _ = environ.WriteString(entries) // a launcher that has ended is seen below
	}
	closeAll([]*os.File{environ})
	var wrong *os.PathError
	if errors.As(err, &wrong) {
		return &os.PathError{Op: wrong.Op, Path: path, Err: wrong.Err} // or its directory
	}
	if err != nil {
		return err
	}
	// The pipe is closed when the launcher is another program, or has ended.
	told, err := io.ReadAll(io.LimitReader(pipe, binary.MaxVarintLen64))
	if err == nil && len(told) == 0 {
		return nil
	}
	_ = cmd.Process.Kill() // it may have ended
	_ = children.Wait(cmd) // how it ended says nothing more
	if err != nil {
		return err
	}
	errno, _ := binary.Uvarint(told)
	return &os.PathError{Op: "fork/exec", Path: path, Err: syscall.Errno(errno)}
}

// launched is set once Launch has been called: without it, this program could not be started to
// become a command.
var launched bool

// Launch is for programs that have [Limits] for commands. They call it with the arguments of the
// process before anything else in main. It returns false at once, unless the process is one that is
// to become a command: then it does, or returns true if it cannot, and the process has to end.
func Launch(args []string) bool {
	launched = true
	if len(args) < launcherArgs || args[0] != launcherName {
		return false
	}
	err := become(args[1], args[2], args[3:])
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		errno = syscall.EINVAL
	}
	_, _ = os.NewFile(launcherPipe, "pipe").Write(binary.AppendUvarint(nil, uint64(errno))) // its reader may be gone
	return true
}

func become(limits, path string, argv []string) error {
	unix.CloseOnExec(launcherPipe)
	l := make(Limits)
	if err := l.SetAll(limits); err != nil {
		return err
	}
	entries, err := io.ReadAll(os.NewFile(launcherEnviron, "environ"))
	if err != nil {
		return err
	}
	unix.CloseOnExec(launcherEnviron)
	environ := []string{}
	if len(entries) > 0 {
		environ = strings.Split(string(entries), "\x00")
	}
	if err := makeRoom(path, argv, environ); err != nil {
		return err
	}
	for _, name := range LimitNames {
		if value, ok := l[name]; ok && name != limitMemory {
			if err := setLimit(resources[name], value); err != nil {
				return err
			}
		}
	}
	if value, ok := l[limitMemory]; ok { // Last: from here on there may be no more memory.
		if err := setLimit(resources[limitMemory], value); err != nil {
			return err
		}
	}
	return syscall.Exec(path, argv, environ)
}

// makeRoom sees to it that the runtime has the memory that syscall.Exec needs: this process uses more
// address space than a command may, so that it gets none once the limit is set. Nothing is collected
// any more after that.
func makeRoom(path string, argv, environ []string) error {
	const rounds = 8
	convert := func() error {
		for range rounds {
			_, err := syscall.BytePtrFromString(path)
			_, argvErr := syscall.SlicePtrFromStrings(argv)
			_, environErr := syscall.SlicePtrFromStrings(environ)
			limit := new(unix.Rlimit)
			if err := errors.Join(err, argvErr, environErr, unix.Getrlimit(unix.RLIMIT_AS, limit)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := convert(); err != nil {
		return err
	}
	for range 3 { // What the first two let go of is there for use after the third.
		runtime.GC()
	}
	debug.SetGCPercent(-1)
	return convert()
}

// setLimit sets a limit of this process for good. One of computing has a second more until
// SIGKILL, so that SIGXCPU can say why.
func setLimit(resource int, value uint64) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(resource, &limit); err != nil {
		return err
	}
	most := value
	if resource == unix.RLIMIT_CPU {
		most = min(value+1, limit.Max)
	}
	limit = unix.Rlimit{Cur: value, Max: most}
	return unix.Prlimit(0, resource, &limit, nil)
}
