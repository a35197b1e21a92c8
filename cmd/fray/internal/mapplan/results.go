package mapplan

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
)

// maxFileName bounds one part of a path: the most that file systems take.
const maxFileName = 255

// Results says which files keep what a job printed: as parallel's --results does.
type Results struct {
	dir      string
	template *Template // nil: dir is a folder
}

// ErrNoColumns is what parallel's formats of one file for all results end with.
var ErrNoColumns = errors.New("one file for all results, as .csv, .tsv or .json, is not made: name a folder")

// NewResults reads where results are to be: a folder, in which a job with the arguments a and b has the
// folder 1/a/2/b with the files stdout, stderr and seq; or a path with replacement strings, which then is
// the file for the standard output, and with .err and .seq behind it for the others.
func NewResults(path, all string) (*Results, error) {
	for _, ending := range []string{".csv", ".tsv", ".json"} {
		if strings.HasSuffix(path, ending) {
			return nil, ErrNoColumns
		}
	}
	t := ParseTemplate([]string{path}, all)
	if t.appends {
		return &Results{dir: path}, nil
	}
	return &Results{template: &t}, nil
}

// Files are those of a job.
type Files struct{ Stdout, Stderr, Number string }

// Of returns the files of a job.
func (r *Results) Of(job Job) Files {
	if r.template != nil {
		path := strings.Join(r.template.Expand(job.Args, job.Number, strconv.Itoa(job.Number)), " ")
		if strings.HasSuffix(path, "/") {
			return Files{path + "stdout", path + "stderr", path + "seq"}
		}
		return Files{path, path + ".err", path + ".seq"}
	}
	parts := []string{r.dir}
	for i, arg := range job.Args {
		parts = append(parts, strconv.Itoa(i+1), fileName(arg))
	}
	if len(job.Args) == 0 {
		parts = append(parts, strconv.Itoa(job.Number))
	}
	dir := filepath.Join(parts...)
	return Files{filepath.Join(dir, "stdout"), filepath.Join(dir, "stderr"), filepath.Join(dir, "seq")}
}

var inFileName = strings.NewReplacer(`\`, `\\`, "/", `\_`, "\t", `\t`, "\x00", `\0`)

// fileName is an argument as the name of a file: never empty, nor a way out of its folder. Of one that is too
// long, it is the beginning and what tells it from others.
func fileName(arg string) string {
	name := inFileName.Replace(arg)
	switch name {
	case "", ".", "..":
		return `\` + name
	}
	if len(name) <= maxFileName {
		return name
	}
	sum := sha256.Sum256([]byte(arg))
	end := "-" + hex.EncodeToString(sum[:8])
	return name[:maxFileName-len(end)] + end
}
