package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/frayrpc/fray/fray/controller"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/sim/scenario"
)

// A backup is one that an operator asked for.
type backup struct {
	name string
	// The tasks that were acknowledged before it was.
	tasks []string
	made  bool
}

// backup has the controller make one.
func (e *Run) backup() {
	b := &backup{name: fmt.Sprintf("backup-%d", len(e.backups)+1)}
	e.backups = append(e.backups, b)
	e.backend.Client("operator-"+b.name, func(ctx context.Context, m Machine) error {
		m.Do(func() { b.tasks = e.tally.acknowledgedTasks() })
		ctx, cancel := context.WithTimeout(ctx, maxAudit)
		defer cancel()
		client := frayv1connect.NewControllerServiceClient(m.Client(), ControllerURL)
		if _, err := client.CreateBackup(ctx, &frayv1.CreateBackupRequest{Name: b.name}); err != nil {
			return nil // It was not made, which the scenario may expect.
		}
		m.Do(func() {
			b.made = true
			e.tally.change(func(f *scenario.Facts) { f.Hosts.Backups++ })
		})
		return nil
	})
}

// checkBackups opens what was made, and looks for what must be there. The controller has ended.
func (e *Run) checkBackups() error {
	var errs []error
	for _, b := range e.backups {
		if b.made {
			errs = append(errs, b.check(e.backend))
		}
	}
	return errors.Join(errs...)
}

func (b *backup) check(backend Backend) error {
	s, err := backend.OpenBackup(b.name)
	if err != nil {
		return fmt.Errorf("open %s: %w", b.name, err)
	}
	defer s.Close()
	known := map[string]bool{}
	for d, err := range controller.DumpTasks(s) {
		if err != nil {
			return fmt.Errorf("read %s: %w", b.name, err)
		}
		known[d.Spec.GetTaskId()] = true
	}
	for _, id := range b.tasks {
		if !known[id] {
			return fmt.Errorf("%s lacks task %s, which was acknowledged before it was asked for", b.name, id)
		}
	}
	return nil
}
