package scenario

import (
	"time"

	"github.com/frayrpc/fray/faults"
)

// Backup has the controller make a backup.
type Backup struct {
	Target string `yaml:"target" default:"controller" doc:"The host: a controller that has a disk."`
}

func (*Backup) example() Action { return &Backup{Target: ControllerHost} }

func (*Backup) fault(string) faults.Action { return faults.Action{} }

func (*Backup) check(*validator, *Fault) {}

func (b *Backup) victim() *string { return &b.Target }

func (*Backup) realm() realm { return ofDisk }

func (*Backup) lasts() (time.Duration, bool) { return 0, true }

func (*Backup) strike(on Stage, _ string) { on.Backup() }
