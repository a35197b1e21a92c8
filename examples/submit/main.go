// The submit example counts the primes below a million, as many tasks. Without a controller it runs
// them in this process.
//
//	go run ./examples/submit
//	go run ./examples/submit -controller http://127.0.0.1:7070
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/frayrpc/fray/examples/tasks"
	"github.com/frayrpc/fray/fray"
)

func main() {
	controller := flag.String("controller", "", "the controller's URL; empty: run in this process")
	flag.Parse()
	if err := run(*controller); err != nil {
		fmt.Fprintln(os.Stderr, "submit:", err)
		os.Exit(1)
	}
}

func run(controller string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	kind := fray.KindThreadPool
	if controller != "" {
		kind = fray.KindFray
	}
	jc, err := fray.NewJobContext(ctx, kind, fray.WithControllerAddress(controller))
	if err != nil {
		return err
	}
	defer jc.Close()
	ctx = fray.NewContext(ctx, jc)

	const end, step = 1_000_000, 20_000
	// Inputs are taken as results come, so that there could be more of them than memory has room for.
	parts := func(yield func(tasks.Interval) bool) {
		for i := 0; i < end; i += step {
			if !yield(tasks.Interval{From: i, To: i + step}) {
				return
			}
		}
	}
	sum, count := 0, 0
	for n, err := range fray.Map(ctx, tasks.Primes, parts, fray.WithRetries(2)) {
		if err != nil {
			return err
		}
		sum += n
		count++
	}
	fmt.Printf("%d primes below %d, counted by %d tasks on %s\n", sum, end, count, jc.Kind())

	// An error arrives typed, wherever the task ran.
	_, err = tasks.Primes.Call(ctx, tasks.Interval{To: 1 << 50})
	var failure *fray.TaskError
	if !errors.As(err, &failure) || !errors.Is(err, tasks.ErrTooLarge) {
		return fmt.Errorf("expected the task's own error, got: %w", err)
	}
	fmt.Printf("%s failed after attempt %d of %d: %v\n", failure.Function, failure.Attempt, failure.MaxAttempts, failure.Message)
	return nil
}
