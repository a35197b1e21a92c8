package scenario

import (
	"time"
)

// Backup has a host make a backup.
type Backup struct {
	Target string `yaml:"target" default:"{disk}" doc:"The host, which has a disk."`
}

func (*Backup) example() Action { return &Backup{} }

func (*Backup) check(v *Validator, f *Fault) {
	if !v.subject.Backups {
		v.Report(Complain("hosts of %s make no backups", v.subject.Name).Suggest("remove the fault"), &f.Action.Backup)
	}
}

func (b *Backup) victim() *string { return &b.Target }

func (*Backup) realm() realm { return ofDisk }

func (*Backup) lasts() (time.Duration, bool) { return 0, true }

func (*Backup) strike(on Stage, host string) { on.Backup(host) }
