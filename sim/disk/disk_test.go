package disk_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/frayrpc/fray/sim/disk"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestIsAFileSystem(t *testing.T) {
	t.Parallel()
	d := disk.New()
	must(t, d.MkdirAll("a/b", 0o755), d.WriteFile("a/b/c", []byte("hello"), 0o600), d.WriteFile("/a/d", nil, 0o600))
	if err := fstest.TestFS(d.FS(), "a/b/c", "a/d"); err != nil {
		t.Error(err)
	}
}

// system is what a disk and the operating system have in common.
type system interface {
	open(name string, flag int) (file, error)
	mkdir(name string) error
	remove(name string) error
	rename(from, to string) error
	list(name string) ([]fs.DirEntry, error)
	stat(name string) (fs.FileInfo, error)
}

type file interface {
	io.ReadWriteCloser
	io.ReaderAt
	io.WriterAt
	io.Seeker
	Truncate(size int64) error
	Sync() error
}

type simulated struct{ *disk.Disk }

func (s simulated) open(name string, flag int) (file, error) { return s.OpenFile(name, flag, 0o600) }
func (s simulated) mkdir(name string) error                  { return s.Mkdir(name, 0o700) }
func (s simulated) remove(name string) error                 { return s.Remove(name) }
func (s simulated) rename(from, to string) error             { return s.Rename(from, to) }
func (s simulated) list(name string) ([]fs.DirEntry, error)  { return s.ReadDir(name) }
func (s simulated) stat(name string) (fs.FileInfo, error)    { return s.Stat(name) }

type actual string

func (a actual) at(name string) string { return filepath.Join(string(a), name) }
func (a actual) open(name string, flag int) (file, error) {
	return os.OpenFile(a.at(name), flag, 0o600)
}
func (a actual) mkdir(name string) error                 { return os.Mkdir(a.at(name), 0o700) }
func (a actual) remove(name string) error                { return os.Remove(a.at(name)) }
func (a actual) rename(from, to string) error            { return os.Rename(a.at(from), a.at(to)) }
func (a actual) list(name string) ([]fs.DirEntry, error) { return os.ReadDir(a.at(name)) }
func (a actual) stat(name string) (fs.FileInfo, error)   { return os.Stat(a.at(name)) }

// step does something random, and tells what came of it.
func step(s system, chance *rand.Rand) string {
	names := []string{"a", "b", "a/x", "a/y", "b/x", "a/x/z", "c"}
	name, other := names[chance.IntN(len(names))], names[chance.IntN(len(names))]
	flags := []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREATE, os.O_WRONLY | os.O_CREATE | os.O_EXCL, os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_TRUNC}
	kind, flag, size, at := chance.IntN(9), flags[chance.IntN(len(flags))], chance.IntN(2000), chance.IntN(3000)
	code := func(err error) string {
		var errno syscall.Errno
		if errors.As(err, &errno) {
			return errno.Error()
		}
		return fmt.Sprint(err == nil, errors.Is(err, io.EOF))
	}
	switch kind {
	case 0, 1:
		return fmt.Sprint("mkdir ", name, code(s.mkdir(name)))
	case 2:
		return fmt.Sprint("remove ", name, code(s.remove(name)))
	case 3:
		return fmt.Sprint("rename ", name, other, code(s.rename(name, other)))
	case 4:
		entries, err := s.list(name)
		var b strings.Builder
		for _, e := range entries {
			fmt.Fprint(&b, e.Name(), e.IsDir(), " ")
		}
		return fmt.Sprint("list ", name, b.String(), code(err))
	}
	f, err := s.open(name, flag)
	if err != nil {
		return fmt.Sprint("open ", name, flag, code(err))
	}
	defer f.Close()
	var b strings.Builder
	fmt.Fprint(&b, "use ", name, flag)
	buf := bytes.Repeat([]byte{byte('a' + size%26)}, size)
	n, err := f.Write(buf)
	fmt.Fprint(&b, " write ", n, code(err))
	pos, err := f.Seek(int64(at/2), io.SeekStart)
	fmt.Fprint(&b, " seek ", pos, code(err))
	if flag&os.O_APPEND == 0 {
		n, err = f.WriteAt(buf[:size/2], int64(at))
		fmt.Fprint(&b, " writeat ", n, code(err))
	}
	n, err = f.Read(buf)
	fmt.Fprint(&b, " read ", n, string(buf[:n]), code(err))
	if kind == 5 {
		fmt.Fprint(&b, " truncate ", code(f.Truncate(int64(at))))
	}
	if info, err := s.stat(name); err == nil && !info.IsDir() {
		fmt.Fprint(&b, " size ", info.Size())
	}
	return b.String()
}

// A disk does what the operating system does.
func TestAsTheOperatingSystem(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		ours, theirs := simulated{disk.New()}, actual(t.TempDir())
		for i := range 120 {
			a := step(ours, rand.New(rand.NewPCG(seed, uint64(i))))
			b := step(theirs, rand.New(rand.NewPCG(seed, uint64(i))))
			if a != b {
				t.Fatalf("seed %d, step %d: got\n%.300s\nwant\n%.300s", seed, i, a, b)
			}
		}
	}
}

func crash(d *disk.Disk, seed uint64) *disk.Disk {
	return d.AfterCrash(true, rand.New(rand.NewPCG(seed, 1))).(*disk.Disk)
}

// What was synced stays, and what was not is there, gone, or torn.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	was, is := bytes.Repeat([]byte("a"), 3000), bytes.Repeat([]byte("b"), 3000)
	d := disk.New()
	f, err := d.Create("log")
	must(t, err, d.SyncDir(""))
	_, err = f.Write(was)
	must(t, err, f.Sync())
	_, err = f.WriteAt(is[:2000], 1000)
	must(t, err)
	seen := make(map[string]int)
	for seed := range uint64(200) {
		got, err := crash(d, seed).ReadFile("log")
		must(t, err)
		if len(got) != 3000 || !bytes.Equal(got[:1000], was[:1000]) {
			t.Fatalf("seed %d: what was synced is gone: %d bytes", seed, len(got))
		}
		switch changed := bytes.Count(got, []byte("b")); changed {
		case 0:
			seen["as it was"]++
		case 2000:
			seen["as it is"]++
		default:
			seen["torn"]++
		}
	}
	if len(seen) != 3 {
		t.Errorf("200 crashes left the file %v", seen)
	}
	// A process that is killed loses nothing, and the disk is cut off from it.
	after := d.AfterCrash(false, nil).(*disk.Disk)
	_, err = f.WriteAt([]byte("late"), 0)
	must(t, err)
	if got, err := after.ReadFile("log"); err != nil || !bytes.Equal(got[1000:], is[:2000]) || got[0] != 'a' {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	// What was not synced before the kill can still be lost later.
	if got, _ := crash(after, 3).ReadFile("log"); bytes.Equal(got[1000:], is[:2000]) {
		t.Error("to be killed has synced a file")
	}
}

// The way in which files are replaced: without a sync of the file, or of the directory, it is no use.
func TestReplaceUnderPowerLoss(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, dir bool
		want      []string // that are seen
	}{
		"neither":   {false, false, []string{"old", "new", "torn"}},
		"directory": {false, true, []string{"new", "torn"}},
		"file":      {true, false, []string{"old", "new"}},
		"both":      {true, true, []string{"new"}},
	} {
		seen := make(map[string]bool)
		for seed := range uint64(100) {
			d := disk.New()
			must(t, d.WriteFile("config", []byte("old"), 0o600))
			f, err := d.OpenFile("config", os.O_WRONLY, 0)
			must(t, err, f.Sync(), d.SyncDir("/"), d.WriteFile("config.tmp", []byte("new"), 0o600))
			f, err = d.OpenFile("config.tmp", os.O_WRONLY, 0)
			must(t, err)
			if test.file {
				must(t, f.Sync())
			}
			must(t, d.Rename("config.tmp", "config"))
			if test.dir {
				must(t, d.SyncDir(""))
			}
			after := crash(d, seed)
			got, err := after.ReadFile("config")
			must(t, err)
			_, tmpErr := after.Stat("config.tmp")
			switch {
			case string(got) == "new" && tmpErr == nil:
				t.Errorf("%s: the file has both names", name)
			case string(got) == "old" || string(got) == "new":
				seen[string(got)] = true
			default:
				seen["torn"] = true
			}
		}
		for _, want := range test.want {
			if !seen[want] {
				t.Errorf("%s: saw %v, want %v", name, seen, test.want)
			}
		}
		if len(seen) != len(test.want) {
			t.Errorf("%s: saw %v, want %v", name, seen, test.want)
		}
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := disk.New()
	d.SetLimit(1000)
	must(t, d.WriteFile("a", make([]byte, 900), 0o600))
	if err := d.WriteFile("b", make([]byte, 200), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	must(t, d.Remove("a"), d.WriteFile("b", make([]byte, 1000), 0o600))
}

// What a sync that failed was to write is not written by the next one.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	d := disk.New()
	f, err := d.Create("log")
	must(t, err, d.SyncDir(""))
	d.Fail(disk.Syncs, 1)
	_, err = f.Write([]byte("lost"))
	must(t, err)
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v", err)
	}
	must(t, f.Sync())
	for seed := range uint64(20) {
		got, _ := crash(d, seed).ReadFile("log")
		switch {
		case string(got) == "lost":
		case strings.Trim(string(got), "\x00") != "":
			t.Errorf("got %q", got)
		default:
			return // Some loss of power shows it.
		}
	}
	t.Error("the second sync has written what the first could not")
}

// What fails is what was asked for, as often as that, and on a disk that a crash has left, too.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	fresh := func() (*disk.Disk, *disk.File) {
		d := disk.New()
		must(t, d.WriteFile("a", []byte("text"), 0o600))
		f, err := d.OpenFile("a", os.O_RDWR, 0)
		must(t, err)
		return d, f
	}
	read := func(_ *disk.Disk, f *disk.File) error {
		_, err := f.ReadAt(make([]byte, 1), 0)
		return err
	}
	write := func(_ *disk.Disk, f *disk.File) error {
		_, err := f.WriteAt([]byte("T"), 0)
		return err
	}
	sync := func(_ *disk.Disk, f *disk.File) error { return f.Sync() }
	open := func(d *disk.Disk, _ *disk.File) error {
		_, err := d.ReadFile("a")
		return err
	}
	remove := func(d *disk.Disk, _ *disk.File) error { return d.Remove("a") }
	ops := map[string]func(*disk.Disk, *disk.File) error{"read": read, "write": write, "sync": sync, "open": open, "remove": remove}
	for _, test := range []struct {
		op    disk.Op
		fails []string
	}{
		{disk.Reads, []string{"read", "open"}},
		{disk.Writes, []string{"write"}},
		{disk.Syncs, []string{"sync"}},
		{disk.All, []string{"read", "write", "sync", "open", "remove"}},
	} {
		for name, op := range ops {
			want := slices.Contains(test.fails, name)
			d, f := fresh()
			d.Fail(test.op, 1)
			first := op(d, f)
			if errors.Is(first, syscall.EIO) != want || !want && first != nil {
				t.Errorf("%d: %s: got %v", test.op, name, first)
			}
			if err := op(d, f); err != nil && want {
				t.Errorf("%d: %s for the second time: got %v", test.op, name, err)
			}
		}
	}
	d, f := fresh()
	d.Fail(disk.Writes, -1)
	for range 3 {
		if err := write(d, f); !errors.Is(err, syscall.EIO) {
			t.Errorf("got %v", err)
		}
	}
	d = d.AfterCrash(true, rand.New(rand.NewPCG(1, 1))).(*disk.Disk)
	if err := d.WriteFile("b", []byte("text"), 0o600); !errors.Is(err, syscall.EIO) {
		t.Errorf("after a crash: got %v", err)
	}
	d.Fail(disk.Writes, 0)
	must(t, d.WriteFile("b", []byte("text"), 0o600))
}

// A slow sync takes its time, others go on meanwhile, and what it is to sync is not until it ends.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := disk.New()
		f, err := d.Create("log")
		must(t, err, d.SyncDir(""))
		_, err = f.Write([]byte("text"))
		must(t, err)
		d.SetSlow(time.Second)
		begun := time.Now()
		took := make(chan time.Duration, 2)
		for range 2 {
			go func() {
				must(t, f.Sync())
				took <- time.Since(begun)
			}()
		}
		synctest.Wait()
		if _, err := d.ReadFile("log"); err != nil || time.Since(begun) > 0 {
			t.Errorf("a reader waits: %v after %v", err, time.Since(begun))
		}
		lost := false
		for seed := range uint64(20) {
			got, _ := crash(d, seed).ReadFile("log")
			lost = lost || string(got) != "text"
		}
		if !lost {
			t.Error("it is synced before its sync has ended")
		}
		if a, b := <-took, <-took; a < time.Second || a == b || b > time.Second+time.Millisecond {
			t.Errorf("two syncs took %v and %v", a, b)
		}
		for seed := range uint64(20) {
			if got, _ := crash(d, seed).ReadFile("log"); string(got) != "text" {
				t.Errorf("it is not synced: %q", got)
			}
		}
	})
}
