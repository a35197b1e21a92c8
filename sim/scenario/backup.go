package scenario

import (
	"time"
)

// Backup has the controller make a backup.
type Backup struct {
	Target string `yaml:"target" default:"controller" doc:"The host: a controller that has a disk."`
}

func (*Backup) example() Action { return &Backup{Target: ControllerHost} }

func (b *Backup) victim() *string { return &b.Target }

func (*Backup) realm() realm { return ofDisk }

func (*Backup) lasts() (time.Duration, bool) { return 0, true }

func (*Backup) strike(on Stage, _ string) { on.Backup() }
