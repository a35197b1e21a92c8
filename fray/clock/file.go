package clock

import (
	"os"
	"strings"
	"time"
)

// SetBy returns a wall clock that is set, while the process runs, by what a file says: a duration
// such as -1h, by which it differs from the system's. Where there is no such file, or nothing in it
// that can be read, it does not. It is for those who test a process from outside: the clock of the
// machine is everybody's.
func SetBy(file string) func() time.Time {
	return func() time.Time {
		text, err := os.ReadFile(file) // The file that the caller names.
		if err != nil {
			return time.Now()
		}
		by, err := time.ParseDuration(strings.TrimSpace(string(text)))
		if err != nil {
			return time.Now()
		}
		return time.Now().Add(by)
	}
}
