package simtest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/sim/engine"
	"github.com/frayrpc/fray/sim/engine/live"
	"github.com/frayrpc/fray/sim/scenario"
)

// running are the clusters that run already.
type running struct {
	subject   *engine.Subject
	hosts     map[string]string
	tokenFile string
	config    live.Config
}

// Name implements Backend.
func (*running) Name() string { return scenario.BackendLive }

// Help implements Backend.
func (*running) Help() string { return "against a cluster that runs" }

// AddFlags implements Backend.
func (r *running) AddFlags(flags *pflag.FlagSet) {
	flags.StringToStringVar(&r.hosts, "live-host", nil, "live: where a host is, as `NAME=URL`; may be repeated")
	flags.StringVar(&r.tokenFile, "live-token-file", "", "live: the `file` with the token that fault services want")
	for _, verb := range []struct {
		name string
		line *string
	}{{"crash", &r.config.Crash}, {"start", &r.config.Start}, {"pause", &r.config.Pause}, {"resume", &r.config.Resume}} {
		flags.StringVar(verb.line, "live-"+verb.name, "", "live: the `command` for sh to "+verb.name+" the host in $FRAY_HOST")
	}
	flags.StringVar(&r.config.Stop, "live-stop", "", "live: the `command` for sh to have the host in $FRAY_HOST end by itself within $FRAY_GRACE seconds; it returns when it has")
	flags.DurationVar(&r.config.MaxWall, "live-max", live.DefaultMaxWall, "live: the longest that a run may take")
}

// Check implements Backend.
func (r *running) Check(used bool) error {
	c := &r.config
	given := len(r.hosts) > 0 || r.tokenFile != "" || c.Crash+c.Start+c.Pause+c.Resume+c.Stop != ""
	switch {
	case given && !used:
		return Invalid("--live-host and other options that begin with --live are for --backend %s", scenario.BackendLive)
	case c.MaxWall <= 0 || c.MaxWall > 24*time.Hour:
		return Invalid("--live-max %v is not between 0 and 24h", c.MaxWall)
	}
	return nil
}

// Prepare implements Backend.
func (r *running) Prepare(s *scenario.Scenario) error {
	r.config.Hosts, r.config.Environ = r.hosts, os.Environ()
	if r.tokenFile != "" {
		token, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return Invalid("--live-token-file: %w", err)
		}
		r.config.Token = strings.TrimSpace(string(token))
	}
	if err := live.Suitable(r.subject, s, r.config); err != nil {
		return fmt.Errorf("%w (--live-host NAME=URL, --live-crash, --live-start, --live-stop, --live-pause, --live-resume)", err)
	}
	return nil
}

// Run implements Backend.
func (r *running) Run(ctx context.Context, s *scenario.Scenario, seed uint64) (*engine.Result, error) {
	return live.Run(ctx, r.subject, s, seed, engine.Options{}, r.config)
}
