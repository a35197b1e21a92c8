package system

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/frayrpc/fray/sim/scenario"
)

// on returns the disk of a machine as an incarnation sees it, with its data directory.
func on(t *testing.T, m *machine) *diskFS {
	t.Helper()
	d := &diskFS{FS: m.fs, ctx: t.Context(), system: &System{tally: &tally{events: map[string]int{}}}, machine: m}
	if err := errors.Join(m.fs.MkdirAll(dataDir, 0o700), syncRoot(m.fs)); err != nil {
		t.Fatal(err)
	}
	return d
}

// put writes a file, and says what became of its sync.
func put(t *testing.T, d *diskFS, name, text string) error {
	t.Helper()
	f, err := d.Create(dataDir+"/"+name, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte(text))
	}
	dir, dirErr := d.OpenDir(dataDir)
	if err := errors.Join(err, dirErr); err != nil {
		t.Fatal(err)
	}
	err = f.Sync()
	if closeErr := errors.Join(f.Close(), dir.Sync(), dir.Close()); closeErr != nil {
		t.Fatal(closeErr)
	}
	return err
}

func after(m *machine, powerLoss bool, seed uint64) *machine {
	return m.AfterCrash(powerLoss, rand.New(rand.NewPCG(seed, 1))).(*machine)
}

// What a failed sync was to write can be read until power fails, also by the next process, and no
// later sync saves it.
func TestFailedSyncIsNotOnDisk(t *testing.T) {
	m := newMachine()
	d := on(t, m)
	m.wrong.fail(scenario.DiskSyncs, 1)
	if err := put(t, d, "table", "text"); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
	m = after(m, false, 1)
	if got := content(m.fs, dataDir+"/table"); string(got) != "text" {
		t.Errorf("the next process reads %q", got)
	}
	f, err := on(t, m).OpenReadWrite(dataDir+"/table", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
	lost := false
	for seed := range uint64(20) {
		lost = lost || len(content(after(m, true, seed).fs, dataDir+"/table")) == 0
	}
	if !lost {
		t.Error("no loss of power shows that it was not synced")
	}
}

// What a process wrote and did not sync is in the memory of its machine when it dies. The next
// process can sync it, and loss of power takes it.
func TestUnsyncedOutlivesProcess(t *testing.T) {
	for name, syncs := range map[string]bool{"synced by the next": true, "lost": false} {
		m := newMachine()
		d := on(t, m)
		f, err := d.Create(dataDir+"/table", vfs.WriteCategoryUnspecified)
		if err == nil {
			_, err = f.Write([]byte("text"))
		}
		if err != nil {
			t.Fatal(err)
		}
		m = after(m, false, 1)
		if got := content(m.fs, dataDir+"/table"); string(got) != "text" {
			t.Errorf("%s: the next process reads %q", name, got)
		}
		if syncs {
			f, err := on(t, m).OpenReadWrite(dataDir+"/table", vfs.WriteCategoryUnspecified)
			if err == nil {
				err = errors.Join(f.Sync(), f.Close())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		lost := false
		for seed := range uint64(20) {
			lost = lost || string(content(after(m, true, seed).fs, dataDir+"/table")) != "text"
		}
		if lost == syncs {
			t.Errorf("%s: lost is %t", name, lost)
		}
	}
}

// Loss of power tears all files that were not synced, and no others.
func TestEveryFileIsTorn(t *testing.T) {
	block := func(c byte) []byte { return bytes.Repeat([]byte{c}, tornBlock) }
	m := newMachine()
	d := on(t, m)
	if err := errors.Join(put(t, d, "synced", "text"), put(t, d, "removed", "text"), put(t, d, "MANIFEST-000001", string(block('a')))); err != nil {
		t.Fatal(err)
	}
	f, err := m.fs.OpenReadWrite(dataDir+"/MANIFEST-000001", vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write(bytes.Join([][]byte{block('b'), block('c'), block('d')}, nil))
	}
	if err := errors.Join(err, m.fs.Remove(dataDir+"/removed")); err != nil {
		t.Fatal(err)
	}
	unnamed, err := m.fs.Create(dataDir+"/000002.sst", vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = unnamed.Write(block('t'))
	}
	if err != nil {
		t.Fatal(err)
	}
	m.torn = true
	seen := map[string]bool{}
	for seed := range uint64(60) {
		fs := after(m, true, seed).fs
		if got := content(fs, dataDir+"/synced"); string(got) != "text" {
			t.Errorf("what was synced is %q", got)
		}
		manifest := content(fs, dataDir+"/MANIFEST-000001")
		if first := manifest[:tornBlock]; !bytes.Equal(first, block('a')) && !bytes.Equal(first, block('b')) {
			t.Errorf("the first block is %q", first[:10])
		}
		if len(manifest) == 3*tornBlock && manifest[tornBlock] == 0 {
			seen["a hole"] = true
		}
		seen["removed "+string(content(fs, dataDir+"/removed"))] = true
		switch table := content(fs, dataDir+"/000002.sst"); {
		case table == nil:
			seen["no table"] = true
		case len(table) == 0:
			seen["an empty table"] = true
		default:
			seen["the table"] = true
		}
	}
	for _, want := range []string{"a hole", "removed ", "removed text", "no table", "an empty table", "the table"} {
		if !seen[want] {
			t.Errorf("in 60 losses of power there was never %s", want)
		}
	}
}
