package scenario

import (
	"fmt"
	"slices"
)

// An UnsuitableError says why a scenario cannot run on a backend.
type UnsuitableError struct {
	Backend string
	Reason  string
}

// Error implements error.
func (e *UnsuitableError) Error() string {
	return fmt.Sprintf("the scenario cannot run on the backend %s: %s", e.Backend, e.Reason)
}

// RunsOn returns an [*UnsuitableError] if the scenario's run.backends do not have the name, or nil.
func (s *Scenario) RunsOn(backend string) error {
	if slices.Contains(s.Run.Backends, backend) {
		return nil
	}
	return &UnsuitableError{backend, fmt.Sprintf("its run.backends are %v; add %s there if it is meant to run so", s.Run.Backends, backend)}
}

// Parsed says whether the scenario was read by [Subjects.Parse], and so is valid.
func (s *Scenario) Parsed() bool { return s.source != nil }
