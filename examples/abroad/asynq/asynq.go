// Package asynq runs asynq, a queue of tasks on Redis: producers and workers, on miniredis.
package asynq

import (
	"context"
	"errors"
	"fmt"
	"time"

	hasynq "github.com/hibiken/asynq"
)

const kind = "email:deliver"

var redisOpt = hasynq.RedisClientOpt{Addr: "server:6379"}

// silent is a logger that says nothing.
type silent struct{}

func (silent) Debug(...any) {}
func (silent) Info(...any)  {}
func (silent) Warn(...any)  {}
func (silent) Error(...any) {}
func (silent) Fatal(...any) {}

// work handles tasks until its process ends.
func work(ctx context.Context, done func(id string)) error {
	server := hasynq.NewServer(redisOpt, hasynq.Config{Concurrency: 2, Logger: silent{}})
	mux := hasynq.NewServeMux()
	mux.HandleFunc(kind, func(ctx context.Context, task *hasynq.Task) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(200+100*(len(task.Payload())%7)) * time.Millisecond):
		}
		done(string(task.Payload()))
		return nil
	})
	if err := server.Start(mux); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// enqueue enqueues a task until the queue has taken it, under an id that the queue takes once.
func enqueue(client *hasynq.Client, id string) error {
	var err error
	for range 60 {
		_, err = client.Enqueue(hasynq.NewTask(kind, []byte(id)), hasynq.TaskID(id), hasynq.Timeout(time.Minute))
		if err == nil || errors.Is(err, hasynq.ErrTaskIDConflict) {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return fmt.Errorf("%s: %w", id, err)
}
