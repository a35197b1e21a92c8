package process

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/frayrpc/fray/sim/cluster"
)

// announcement is the first line of a controller's standard output.
var announcement = regexp.MustCompile(`^fray controller listening on https?://(\S+)$`)

// suicide is what a controller writes when a fault ends it.
var suicide = regexp.MustCompile(`(?m)^fault (\S+) ends this process$`)

// startController starts the controller, where it was before if this is not the first time, and
// waits until it listens.
func (s *stage) startController() error {
	plan := filepath.Join(s.dir, "controller.faults")
	if err := os.WriteFile(plan, []byte(s.faults.planFor(cluster.ControllerHost).String()), 0o600); err != nil {
		return fmt.Errorf("write faults of the controller: %w", err)
	}
	listen := cmp.Or(s.address, s.net.of(0)+":0")
	out := newFirstLine()
	argv := s.controllerCommand(listen, plan)
	files, err := s.certify(cluster.ControllerHost)
	if err != nil {
		return err
	}
	if files.Cert != "" {
		argv = append(argv, "--tls-cert", files.Cert, "--tls-key", files.Key, "--tls-client-ca", files.ClientCA)
	}
	c, err := s.spawn(cluster.ControllerHost, out, nil, argv...)
	if err != nil {
		return err
	}
	s.controller = c
	line, err := await(s, c, out.line, "does not listen")
	if err != nil {
		return err
	}
	match := announcement.FindStringSubmatch(line)
	if match == nil {
		return fmt.Errorf("start controller: its first line %q does not say where it listens", line)
	}
	s.address = match[1]
	s.faults.started(cluster.ControllerHost, s.scheme()+s.address)
	s.tasks.Go(func() {
		<-c.Gone()
		s.Post(func() { s.controllerGone(c) })
	})
	return nil
}

// controllerCommand returns the command line of the controller that the scenario asks for.
func (s *stage) controllerCommand(listen, plan string) []string {
	cfg := s.play.Topology.Controller
	argv := []string{
		s.config.Fray, "controller", "--listen", listen, "--lifeline", "--enable-fault-injection", "--faults", plan,
		"--log-level", "warn",
		"--wall-clock-file", s.clockFile(cluster.ControllerHost),
		"--session-ttl", time.Duration(cfg.SessionTTL).String(), "--cancel-grace", time.Duration(cfg.CancelGrace).String(),
		"--retention", time.Duration(cfg.Retention).String(),
		"--max-queued-tasks", strconv.Itoa(cfg.MaxOpenTasks), "--max-queued-bytes", strconv.FormatInt(int64(cfg.MaxQueuedBytes), 10),
		"--max-retained-tasks", strconv.Itoa(cfg.MaxRetainedTasks), "--max-retained-bytes", strconv.FormatInt(int64(cfg.MaxRetainedBytes), 10),
		"--max-payload-bytes", strconv.FormatInt(int64(cfg.MaxPayload), 10), "--watch-grace", time.Duration(cfg.WatchGrace).String(),
	}
	if s.play.AsksWho() {
		argv = append(argv, "--access-file", s.accessFile())
	} else {
		argv = append(argv, "--without-authentication")
	}
	if cfg.Store == cluster.StoreMemory {
		return append(argv, "--in-memory")
	}
	return append(argv, "--data-dir", s.dataDir(), "--backup-dir", s.backupDir())
}

// controllerGone takes in that a controller has ended.
func (s *stage) controllerGone(c *child) {
	err := c.unexpected()
	match := suicide.FindStringSubmatch(c.output.String())
	if err == nil || c.panicked() || match == nil {
		s.FailIf(err)
		if s.controller == c && !c.killed {
			s.run.Left(c.name)
		}
		return
	}
	c.killed = true
	s.crashed(c.name)
	if down, restarts := s.faults.suicide(match[1]); restarts {
		s.After(down, func() { s.startAgain(c.name) })
	}
}
