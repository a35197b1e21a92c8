package system

import (
	"context"
	"errors"
	"fmt"

	"github.com/frayrpc/fray/fray/controller"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/engine"
)

// A backup is one that an operator asked for.
type backup struct {
	name string
	// The tasks that were acknowledged before it was.
	tasks []string
	made  bool
}

// Backup implements engine.System: it has the controller make one.
func (s *System) Backup(string) {
	b := &backup{name: fmt.Sprintf("backup-%d", len(s.backups)+1)}
	s.backups = append(s.backups, b)
	s.run.Backend().Client("operator-"+b.name, func(ctx context.Context, m engine.Machine) error {
		m.Do(func() { b.tasks = s.tally.acknowledgedTasks() })
		ctx, cancel := context.WithTimeout(ctx, engine.MaxAudit)
		defer cancel()
		client := frayv1connect.NewControllerServiceClient(s.caller(m), s.firstURL(), s.shows(OperatorName))
		if _, err := client.CreateBackup(ctx, &frayv1.CreateBackupRequest{Name: b.name}); err != nil {
			return nil // It was not made, which the scenario may expect.
		}
		m.Do(func() {
			b.made = true
			s.tally.change(func(f *cluster.Facts) { f.Hosts.Backups++ })
		})
		return nil
	})
}

// checkBackups opens what was made, and looks for what must be there. The controller has ended.
func (s *System) checkBackups() error {
	var errs []error
	for _, b := range s.backups {
		if b.made {
			errs = append(errs, b.check(s.place))
		}
	}
	return errors.Join(errs...)
}

func (b *backup) check(place Place) error {
	s, err := place.OpenBackup(b.name)
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
