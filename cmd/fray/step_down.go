package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/endpoint"
	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/reason"
)

const (
	// defaultStepDownWait is how long another controller may take to lead.
	defaultStepDownWait = 30 * time.Second
	// firstLook and longestLook are how long it is asked for the next leader before what was heard is
	// looked at. Each time is a quarter longer: an answer costs a commit, and the database may be slow.
	firstLook   = 100 * time.Millisecond
	longestLook = 5 * time.Second
)

func (a *app) newStepDown() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "step-down",
		Short: "Have the controller that leads hand over to another",
		Long: `Have the one of several controllers that leads hand over, as when SIGTERM ends it: another leads at once, and this one stands by. Workers
keep what they run. It is for before its machine is taken away, or its program replaced. Waits until another leads, and says after how
long it knew that. If no other takes over within a few seconds, the same controller leads again.

With the addresses of all it is the one that leads, whichever that is; with one address it is that one, and a mistake unless that leads.`,
		Example: `  fray controller step-down --controller 10.0.0.5:7070,10.0.0.6:7070
  fray controller step-down --controller 10.0.0.5:7070 -o json | jq .leading_epoch`,
		Args: noArgs,
		RunE: a.calling(func(ctx context.Context, c *client, _ []string) error { return a.stepDown(ctx, c, wait) }),
	}
	a.addClientFlags(cmd)
	command.Duration(cmd.Flags(), &wait, "wait", defaultStepDownWait, "how long to wait until another leads; 0s: not at all")
	a.addOutputFlag(cmd)
	return cmd
}

// handover is what came of a controller's stepping down, as -o json writes it.
type handover struct {
	EndedEpoch      uint64 `json:"ended_epoch"`
	LeadingEpoch    uint64 `json:"leading_epoch,omitempty"`
	WithoutLeaderMs int64  `json:"without_leader_ms,omitempty"`
}

// stepDown ends the epoch that there is now, and no later one, however often its call is repeated.
func (a *app) stepDown(ctx context.Context, c *client, wait time.Duration) error {
	info, err := ask(ctx, c, c.GetClusterInfo, &frayv1.GetClusterInfoRequest{})
	if err != nil {
		return err
	}
	h := handover{EndedEpoch: info.GetControllerIncarnation()}
	began := time.Now()
	err = c.within(ctx, wait, func(ctx context.Context) (err error) {
		_, err = c.StepDown(ctx, &frayv1.StepDownRequest{Epoch: h.EndedEpoch})
		if err == nil && wait > 0 {
			h.LeadingEpoch, err = a.awaitLeader(ctx, c, h.EndedEpoch)
		}
		return err
	})
	without := time.Since(began).Round(time.Millisecond)
	switch {
	case err != nil:
		return err
	case wait > 0 && h.LeadingEpoch == 0:
		return &command.CodedError{Code: command.ExitTimedOut, Err: fmt.Errorf("epoch %d has ended, and no controller was seen to lead within %s: start one, or see the logs of those that stand by",
			h.EndedEpoch, number.ShortDuration(without))}
	}
	if h.LeadingEpoch > 0 {
		h.WithoutLeaderMs = number.Millis(without)
	}
	if a.output == formatJSON {
		return printJSON(a.Stdout, h)
	}
	if h.LeadingEpoch == 0 {
		fmt.Fprintf(a.Stdout, "epoch %d has ended\n", h.EndedEpoch)
		return nil
	}
	fmt.Fprintf(a.Stdout, "epoch %d has ended; epoch %d leads after %s\n", h.EndedEpoch, h.LeadingEpoch, number.ShortDuration(without))
	return nil
}

// awaitLeader asks until a controller leads in a later epoch than one that has ended, and returns that,
// or 0 once ctx is done. Where it is told of a leader of which it has no address it asks that, too.
func (a *app) awaitLeader(ctx context.Context, c *client, ended uint64) (uint64, error) {
	leads, elsewhere := c.awaitLeader(ctx, ended)
	if elsewhere == "" {
		return leads, nil
	}
	both, err := a.connectTo(c.url + "," + elsewhere)
	if err != nil {
		return 0, fmt.Errorf("epoch %d has ended, and %s is said to lead: %w", ended, elsewhere, err)
	}
	defer both.close()
	return a.awaitLeader(ctx, both, ended)
}

// awaitLeader is that of app, but that it returns an address in place of asking there.
func (c *client) awaitLeader(ctx context.Context, ended uint64) (leads uint64, elsewhere string) {
	for look := firstLook; ctx.Err() == nil; look = min(look+look/4, longestLook) {
		leads, err := c.leads(ctx, ended, look)
		if leads > 0 {
			return leads, ""
		}
		if leader := reason.Leader(err); leader != "" && !slices.Contains(endpoint.List(c.url), leader) {
			return 0, leader
		}
	}
	return 0, ""
}

// leads returns the epoch in which a controller leads, if it is later than one that has ended. Else it
// returns, once so long has passed, what the last that was asked has said.
func (c *client) leads(ctx context.Context, ended uint64, look time.Duration) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, look)
	defer cancel()
	info, err := c.GetClusterInfo(ctx, &frayv1.GetClusterInfoRequest{})
	if err == nil && info.GetControllerIncarnation() > ended {
		return info.GetControllerIncarnation(), nil
	}
	<-ctx.Done() // What is not asked again, such as a refusal, comes at once.
	return 0, err
}
