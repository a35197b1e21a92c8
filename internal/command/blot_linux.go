package command

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// blotOut overwrites the value that a variable was started with, which Linux shows to the user's other
// processes in /proc/PID/environ, whatever becomes of the variable. See proc_pid_environ(5) and the
// fields env_start and env_end of proc_pid_stat(5).
func blotOut(variable string) (err error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return ignoreMissing(err)
	}
	const envStart, envEnd = 50 - 3, 51 - 3 // counted from the third field, which follows upon the name
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= envEnd {
		return nil // An old kernel, which does not tell.
	}
	start, err := strconv.ParseInt(string(fields[envStart]), 10, 64)
	if err != nil {
		return fmt.Errorf("read /proc/self/stat: %w", err)
	}
	end, err := strconv.ParseInt(string(fields[envEnd]), 10, 64)
	if err != nil {
		return fmt.Errorf("read /proc/self/stat: %w", err)
	}
	const mostEnviron = 16 << 20
	if start <= 0 || end <= start || end-start > mostEnviron {
		return nil
	}
	memory, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return ignoreMissing(err)
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	environ := make([]byte, end-start)
	if _, err := memory.ReadAt(environ, start); err != nil {
		return fmt.Errorf("read what the environment was: %w", err)
	}
	prefix := []byte(variable + "=")
	for at := 0; at < len(environ); {
		entry := environ[at:]
		if n := bytes.IndexByte(entry, 0); n >= 0 {
			entry = entry[:n]
		}
		if bytes.HasPrefix(entry, prefix) {
			value := int64(at + len(prefix))
			if _, err := memory.WriteAt(bytes.Repeat([]byte("x"), len(entry)-len(prefix)), start+value); err != nil {
				return fmt.Errorf("blot out %s: %w", variable, err)
			}
		}
		at += len(entry) + 1
	}
	return nil
}

// ignoreMissing takes a system without /proc for one that shows nothing.
func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return nil
	}
	return err
}
