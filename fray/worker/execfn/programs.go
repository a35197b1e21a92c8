package execfn

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/frayrpc/fray/fray"
)

// maxPrograms bounds a list of allowed programs.
const maxPrograms = 4096

// Programs are the only ones that a worker executes. They are compared by their paths, in which no
// symbolic link is left: a link to an allowed program is allowed, and a program that an allowed
// link leads to is allowed under each of its names.
//
// It is immutable.
type Programs struct{ patterns []string }

// NewPrograms returns the programs of a list. Each entry is an absolute path; or a name, which is
// looked up in PATH now; or an absolute path with the wildcards of [filepath.Match] behind a
// directory that exists, where a star stands for one level. It returns an error for an entry that
// is nothing of these, or names a program that is not there.
func NewPrograms(entries []string) (*Programs, error) {
	if len(entries) > maxPrograms {
		return nil, fmt.Errorf("%d programs; at most %d can be allowed", len(entries), maxPrograms)
	}
	p := &Programs{}
	for _, entry := range entries {
		pattern, err := programPattern(entry)
		if err != nil {
			return nil, fmt.Errorf("program %q: %w", entry, err)
		}
		p.patterns = append(p.patterns, pattern)
	}
	return p, nil
}

// wildcards are what filepath.Match takes for more than itself.
const wildcards = `*?[\`

func programPattern(entry string) (string, error) {
	if entry == "" {
		return "", errors.New("it is empty: give a path, or a name that is in PATH")
	}
	entry = filepath.Clean(entry)
	switch {
	case !strings.ContainsRune(entry, filepath.Separator):
		path, err := exec.LookPath(entry)
		if errors.Is(err, exec.ErrDot) {
			err = nil // PATH has ".", and is the user's
		}
		if err != nil {
			return "", fmt.Errorf("look it up in PATH: %w", errors.Unwrap(err))
		}
		return literally(path)
	case !filepath.IsAbs(entry):
		return "", errors.New("its path is not absolute: begin with a slash, or give a name that is in PATH")
	case !strings.ContainsAny(entry, wildcards):
		return literally(entry)
	}
	if _, err := filepath.Match(entry, ""); err != nil {
		return "", errors.New("the wildcards are not like those of a shell: is a bracket open?")
	}
	// What is matched has no links, so what stands before the wildcards must have none.
	separator := string(filepath.Separator)
	parts := strings.Split(entry, separator)
	first := slices.IndexFunc(parts, func(part string) bool { return strings.ContainsAny(part, wildcards) })
	dir, err := literally(separator + filepath.Join(parts[:first]...))
	if err != nil {
		return "", err
	}
	if dir == separator {
		dir = ""
	}
	return dir + separator + strings.Join(parts[first:], separator), nil
}

// literally returns a pattern that describes the file to which a path leads, and nothing else.
func literally(path string) (string, error) {
	path, err := realPath(path)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range path {
		if strings.ContainsRune(wildcards, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String(), nil
}

func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// admit has cmd start the file that its path leads to, so that no link can be changed after it was
// looked at, or returns why the worker does not execute it. Of nil, everything is allowed.
func (p *Programs) admit(cmd *exec.Cmd) error {
	if p == nil {
		return nil
	}
	if cmd.Err != nil {
		return cmd.Err
	}
	path := cmd.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(cmd.Dir, path) // where the system looks for it
	}
	path, err := realPath(path)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.patterns, func(pattern string) bool {
		matches, err := filepath.Match(pattern, path)
		return err == nil && matches
	}) {
		return fray.NonRetryable(fmt.Errorf("the worker does not execute %s: none of its --exec-allow names it", path))
	}
	cmd.Path = path
	return nil
}
