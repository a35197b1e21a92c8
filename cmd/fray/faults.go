package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"connectrpc.com/connect"
	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/cmd/fray/internal/wording"
	"github.com/frayrpc/fray/faults"
	faultsv1 "github.com/frayrpc/fray/gen/faults/v1"
	"github.com/frayrpc/fray/gen/faults/v1/faultsv1connect"
	"github.com/frayrpc/fray/internal/command"
	"github.com/frayrpc/fray/internal/number"
)

func (a *app) newFaults() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "faults",
		Short: "Make a running controller or worker misbehave",
		Long: `Apply, show and clear the faults that a running process injects. It must have been started with --enable-fault-injection,
and with a token, --tls-client-ca or --without-authentication.

The process is the controller, or the worker that --worker names; or any Connect service that mounts faults.v1.FaultService
(examples/faulted does), whose URL is given in place of the controller's. A plan is a file with one rule a line, such as

  seed 42
  # Every third report is lost after the controller has committed it.
  lost: drop phase=response-in-flight procedure=*/ReportTasks every=3
  slow: delay(uniform, 10ms, 90ms) procedure=*/LeaseTasks probability=0.5
  gone: crash phase=request-before-send procedure=*/ReportTasks nth=2

The documentation of the Go package faults has all of it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var worker string
	var ttl time.Duration
	apply := &cobra.Command{
		Use:     "apply FILE",
		Short:   "Put a plan in force, in place of the one before",
		Long:    "Put the plan in a file in force, in place of the one before, until it is cleared or its time is up.",
		Example: "  fray faults apply lossy.txt --ttl 1m\n  fray faults apply crash.txt --worker worker-1",
		Args:    oneArg("file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withFaults(cmd.Context(), worker, func(ctx context.Context, c faultsv1connect.FaultServiceClient) error {
				return a.applyFaults(ctx, c, args[0], ttl)
			})
		},
	}
	command.DurationWithin(apply.Flags(), &ttl, time.Millisecond, faults.MaxWait, "ttl", 10*time.Minute, "after this long the plan is at its end")
	command.Momentary(apply.Flags(), "ttl")
	show := &cobra.Command{
		Use:   "show",
		Short: "Show the plan in force, and what it did",
		Long:  "Show the plan in force: each rule, how often it matched, and how often it acted.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withFaults(cmd.Context(), worker, a.showFaults)
		},
	}
	end := &cobra.Command{
		Use:   "clear",
		Short: "End all faults",
		Long:  "End all faults, those of --faults included, and let go of what they hold back.",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withFaults(cmd.Context(), worker, func(ctx context.Context, c faultsv1connect.FaultServiceClient) error {
				_, err := c.ClearPlan(ctx, &faultsv1.ClearPlanRequest{})
				return err
			})
		},
	}
	for _, sub := range []*cobra.Command{apply, show, end} {
		a.addClientFlags(sub)
		sub.Flags().StringVar(&worker, "worker", "", "the `name` of the worker that is meant (default: the controller)")
		command.Momentary(sub.Flags(), "worker")
		cmd.AddCommand(sub)
	}
	return cmd
}

// withFaults calls fn with a client of the fault service of the controller, or of a worker.
func (a *app) withFaults(ctx context.Context, worker string, fn func(context.Context, faultsv1connect.FaultServiceClient) error) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	defer c.close()
	url := c.url
	if worker != "" {
		if url, err = workerURL(ctx, c, worker); err != nil {
			return err
		}
	}
	transport, closeTransport, err := a.Connections(worker != "")
	if err != nil {
		return err
	}
	defer closeTransport()
	service := faultsv1connect.NewFaultServiceClient(&http.Client{Transport: transport}, url, a.Seams.ClientOptions...)
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err = fn(ctx, service)
	var coded *command.CodedError
	if errors.As(err, &coded) {
		return err
	}
	switch connect.CodeOf(err) {
	case connect.CodeUnimplemented, connect.CodeNotFound:
		return &command.CodedError{Code: command.ExitUnavailable, Err: errors.New("the process at " + url + " takes no faults: start it with --enable-fault-injection, and with a token")}
	case connect.CodeInvalidArgument:
		return command.UsageError("%w", err)
	}
	return c.explain(err)
}

func workerURL(ctx context.Context, c *client, id string) (string, error) {
	all, err := workersOf(ctx, c)
	if err != nil {
		return "", err
	}
	for _, w := range all {
		if w.GetWorkerId() != id {
			continue
		}
		if w.GetAdvertiseUrl() == "" {
			return "", command.UsageError("worker %q listens nowhere: start it with --listen", id)
		}
		return w.GetAdvertiseUrl(), nil
	}
	return "", &command.CodedError{Code: command.ExitNotFound, Err: fmt.Errorf("no worker %q is connected", id)}
}

func (a *app) applyFaults(ctx context.Context, c faultsv1connect.FaultServiceClient, file string, ttl time.Duration) error {
	plan, err := command.ReadPlan(file)
	if err != nil {
		return err
	}
	req := &faultsv1.ApplyPlanRequest{Seed: plan.Seed, TtlMs: number.Millis(ttl)}
	for _, rule := range plan.Rules {
		req.Rules = append(req.Rules, rule.String())
	}
	res, err := c.ApplyPlan(ctx, req)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "%s in force for %s\n", wording.Count(uint64(len(res.GetRules())), "rule"), number.ShortDuration(number.FromMillis(res.GetTtlMs())))
	for i, why := range res.GetIdle() {
		if why != "" && i < len(plan.Rules) {
			fmt.Fprintf(a.Stderr, "fray: rule %s can never act in this process: %s\n", plan.Rules[i].ID, why)
		}
	}
	return nil
}

func (a *app) showFaults(ctx context.Context, c faultsv1connect.FaultServiceClient) error {
	res, err := c.GetPlan(ctx, &faultsv1.GetPlanRequest{})
	if err != nil {
		return err
	}
	if len(res.GetRules()) == 0 {
		fmt.Fprintln(a.Stderr, "no faults")
		return nil
	}
	rows := make([][]string, 0, len(res.GetRules()))
	for _, r := range res.GetRules() {
		acted := strconv.FormatUint(r.GetFiredCount(), 10)
		if why := r.GetIdle(); why != "" {
			acted = "never: " + why
		}
		rows = append(rows, []string{r.GetRule(), strconv.FormatUint(r.GetMatchedCount(), 10), acted})
	}
	printTable(a.Stdout, []string{"RULE", "MATCHED", "ACTED"}, rows)
	return nil
}
