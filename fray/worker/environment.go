package worker

import (
	"fmt"
	"os"
	"time"

	"github.com/frayrpc/fray/fray/internal/dial"
)

// The variables of [FromEnvironment]. A client with the ray backend sets them for the processes that
// it starts; the command "fray worker" reads them, too.
const (
	ControllerVariable  = dial.ControllerVariable
	IDVariable          = dial.WorkerIDVariable
	JobLeaseVariable    = dial.JobLeaseVariable
	JobLeaseTTLVariable = dial.JobLeaseTTLVariable
)

// FromEnvironment returns a Config with the ControllerURL, ID, JobLease and JobLeaseTTL that the
// environment has, which is how a program becomes a worker that others start:
//
//	cfg, err := worker.FromEnvironment()
//	if err != nil { ... }
//	cfg.Functions = []fray.Function{Resize, Classify}
//	w, err := worker.New(cfg)
//
// What the environment does not have stays empty. It returns an error for a time that cannot be read;
// New checks the rest.
func FromEnvironment() (Config, error) {
	get := os.Getenv //nolint:forbidigo // What the function is for.
	c := Config{ControllerURL: get(ControllerVariable), ID: get(IDVariable), JobLease: get(JobLeaseVariable)}
	if text := get(JobLeaseTTLVariable); text != "" {
		ttl, err := time.ParseDuration(text)
		if err != nil {
			return Config{}, fmt.Errorf("environment variable %s: %q is not a time such as 1m", JobLeaseTTLVariable, text)
		}
		c.JobLeaseTTL = ttl
	}
	return c, nil
}
