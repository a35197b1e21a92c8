package simtest

import (
	"fmt"
	"runtime"
	"strconv"

	"github.com/spf13/pflag"
)

// maxJobs is the most of --jobs: each is a process.
const maxJobs = 1024

// jobs is how many seeds run at the same time, by --jobs. 0: as many as there are CPUs.
type jobs int

func (j *jobs) addFlag(flags *pflag.FlagSet) {
	flags.Var(j, "jobs", fmt.Sprintf("how many seeds run at the same time, each in a process: a `number` from 1 to %d (default: as many as there are CPUs)", maxJobs))
}

// count returns how many that are.
func (j *jobs) count() int {
	if *j == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return int(*j)
}

// String implements pflag.Value.
func (j *jobs) String() string {
	if *j == 0 {
		return ""
	}
	return strconv.Itoa(int(*j))
}

// Set implements pflag.Value.
func (j *jobs) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxJobs {
		return fmt.Errorf("it is not a number from 1 to %d", maxJobs)
	}
	*j = jobs(n)
	return nil
}

// Type implements pflag.Value.
func (*jobs) Type() string { return "number" }
