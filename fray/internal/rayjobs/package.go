package rayjobs

import (
	"archive/zip"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// MaxPackageBytes is the largest package, zipped, that Ray's dashboard takes.
const MaxPackageBytes = 100 << 20

// modesFile is a script in a package that makes programs of those of its files that were ones: Ray
// unpacks without the modes of files.
const modesFile = ".make-executable.sh"

// Package is a folder to upload, as it was when it was packed.
type Package struct {
	file  *os.File
	name  string
	size  int64
	modes bool // it has a modesFile
}

// Pack packs what is in a folder, all of it, whatever is hidden or ignored elsewhere. The same
// files give the same package. The caller closes it.
func Pack(dir string) (p *Package, err error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = errors.New("it is no folder")
	}
	if err != nil {
		return nil, fmt.Errorf("working dir %s: %w", dir, err)
	}
	file, err := os.CreateTemp("", "ray-package-*.zip")
	if err != nil {
		return nil, fmt.Errorf("working dir %s: %w", dir, err)
	}
	_ = os.Remove(file.Name()) // Where the system can, it is gone with this process.
	p = &Package{file: file}
	defer func() {
		if err != nil {
			p.Close()
			p = nil
		}
	}()
	sum := sha256.New()
	out := &bounded{to: io.MultiWriter(file, sum)}
	if err := p.write(out, dir); err != nil {
		return p, fmt.Errorf("working dir %s: %w", dir, err)
	}
	p.size = out.written
	p.name = "_ray_pkg_" + hex.EncodeToString(sum.Sum(nil)[:16]) + ".zip"
	return p, nil
}

// write zips a folder, in the order of its names.
func (p *Package) write(to io.Writer, dir string) error {
	z := zip.NewWriter(to)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	var programs []string
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		info, err := os.Stat(name) // Of what a link leads to.
		switch {
		case err != nil:
			return err
		case relative == modesFile:
			return fmt.Errorf("%s: this name is needed", relative)
		case entry.IsDir():
			_, err := z.CreateHeader(&zip.FileHeader{Name: relative + "/"})
			return err
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder, nor a link to a file", relative)
		}
		if info.Mode()&0o111 != 0 {
			programs = append(programs, relative)
		}
		return add(z, name, relative, info.Mode())
	})
	if err == nil && len(programs) > 0 {
		p.modes = true
		err = addScript(z, programs)
	}
	return errors.Join(err, z.Close())
}

// add writes one file. The header has no time, so that a package depends on contents alone.
func add(z *zip.Writer, from, name string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	header := &zip.FileHeader{Name: name, Method: zip.Deflate}
	header.SetMode(mode.Perm())
	target, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return err
}

func addScript(z *zip.Writer, programs []string) error {
	target, err := z.CreateHeader(&zip.FileHeader{Name: modesFile, Method: zip.Deflate})
	if err != nil {
		return err
	}
	for _, name := range programs {
		if _, err := fmt.Fprintf(target, "chmod u+x './%s'\n", strings.ReplaceAll(name, "'", `'\''`)); err != nil {
			return err
		}
	}
	return nil
}

// Close lets go of the package.
func (p *Package) Close() {
	_ = p.file.Close() // It was only read.
	_ = os.Remove(p.file.Name())
}

// URI is what jobs name the package by, once it is uploaded.
func (p *Package) URI() string { return "gcs://" + p.name }

// Entrypoint returns a command that runs another one in the package, where programs are ones.
func (p *Package) Entrypoint(command string) string {
	if !p.modes {
		return command
	}
	return "sh ./" + modesFile + " && " + command
}

// Ensure has the cluster have the package. It may have it already; and it keeps one that it is asked for for a
// while, which should be asked for before each submission.
func (c *Client) Ensure(ctx context.Context, p *Package) error {
	at := "/api/packages/gcs/" + path.Base(p.name)
	err := c.do(ctx, &request{method: http.MethodGet, path: at}, nil)
	if !errors.Is(err, ErrUnknown) {
		return err
	}
	return c.do(ctx, &request{
		method: http.MethodPut, path: at, bytes: p.size,
		body: func() (io.Reader, error) { return io.NewSectionReader(p.file, 0, p.size), nil },
	}, nil)
}

// bounded is a writer that takes as much as a package may have.
type bounded struct {
	to      io.Writer
	written int64
}

func (b *bounded) Write(data []byte) (int, error) {
	if b.written+int64(len(data)) > MaxPackageBytes {
		return 0, fmt.Errorf("zipped, it has more than the %d MiB that Ray takes: leave something out, or have it on the nodes", MaxPackageBytes>>20)
	}
	n, err := b.to.Write(data)
	b.written += int64(n)
	return n, err
}
