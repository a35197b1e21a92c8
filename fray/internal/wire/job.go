package wire

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/limit"
)

// CheckJobOptions reports the first thing that is wrong with a job's options, or nil; also that there are none.
func CheckJobOptions(jobID string, o *frayv1.JobOptions) error {
	if o == nil {
		return nil
	}
	if parent := o.GetParentJobId(); parent != "" {
		if err := CheckID("parent_job_id", parent); err != nil {
			return err
		}
		if parent == jobID {
			return fmt.Errorf("parent_job_id: job %q cannot be its own parent", jobID)
		}
	}
	if err := CheckEnvironment(o.GetEnvironment()); err != nil {
		return err
	}
	if p := o.GetMaxFailedShare(); !(p >= 0 && p < 1) {
		return fmt.Errorf("max_failed_share: must be at least 0 and less than 1, is %v", p)
	}
	return within("weight", int64(o.GetWeight()), 0, limit.JobWeight)
}

// CheckEnvironment reports the first thing that is wrong with what the tasks of a job are to see, or nil.
func CheckEnvironment(environment map[string]string) error {
	if n := len(environment); n > limit.Environment {
		return fmt.Errorf("environment: must have at most %d variables, has %d", limit.Environment, n)
	}
	bytes := 0
	for _, name := range slices.Sorted(maps.Keys(environment)) {
		if err := checkVariable(name, environment[name]); err != nil {
			return err
		}
		bytes += len(name) + len(environment[name])
	}
	if bytes > limit.EnvironmentBytes {
		return fmt.Errorf("environment: names and values must have at most %d bytes, have %d", limit.EnvironmentBytes,
			bytes)
	}
	return nil
}

func checkVariable(name, value string) error {
	if len(name) > limit.VariableName {
		return fmt.Errorf("environment: a name must have at most %d characters, %.40q has %d", limit.VariableName,
			name, len(name))
	}
	switch {
	case name == "":
		return errors.New("environment: a name is empty")
	case !limit.IsVariable(name):
		return fmt.Errorf("environment: name %q: must be letters, digits and underscores, the first no digit", name)
	case strings.HasPrefix(name, limit.OwnVariables):
		return fmt.Errorf("environment: %s: names that begin with %s are Fray's own: choose another", name,
			limit.OwnVariables)
	case strings.IndexByte(value, 0) >= 0:
		return fmt.Errorf("environment: the value of %s has a NUL, which no environment can have", name)
	}
	return nil
}

// SaysNothing says whether nothing is set in a job's options.
func SaysNothing(o *frayv1.JobOptions) bool {
	return o.GetParentJobId() == "" && len(o.GetEnvironment()) == 0 && (o == nil || o.MaxFailed == nil) &&
		math.Float64bits(o.GetMaxFailedShare()) == 0 && o.GetWeight() == 0
}
