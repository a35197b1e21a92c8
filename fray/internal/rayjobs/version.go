package rayjobs

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Version is a release of Ray, without its patch level.
type Version struct{ Major, Minor int }

// Releases that brought what calls need.
var (
	// LeastVersion takes submission ids, and the CPUs, GPUs and resources of an entrypoint.
	LeastVersion = Version{2, 2}
	// MemoryVersion takes the memory of an entrypoint.
	MemoryVersion = Version{2, 8}
)

// String is like "2.60".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Before says whether v is an earlier release than w.
func (v Version) Before(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// parseVersion reads a version such as "2.60.0", "2.9.0rc1" or "3.0.0.dev0".
func parseVersion(text string) (v Version, ok bool) {
	first, rest, _ := strings.Cut(text, ".")
	second, _, _ := strings.Cut(rest, ".")
	major, err := strconv.Atoi(first)
	minor, err2 := strconv.Atoi(second)
	return Version{major, minor}, err == nil && err2 == nil && major >= 0 && minor >= 0
}

type versionAnswer struct {
	RayVersion string `json:"ray_version"`
}

func (a *versionAnswer) isRays() bool { return a.RayVersion != "" }

// CheckVersion returns an error if the address is not that of a Ray cluster, or of one that runs an
// earlier release than least.
func (c *Client) CheckVersion(ctx context.Context, least Version) error {
	var a versionAnswer
	if err := c.do(ctx, &request{method: http.MethodGet, path: "/api/version"}, &a); err != nil {
		return err
	}
	v, ok := parseVersion(a.RayVersion)
	switch {
	case !ok:
		return fmt.Errorf("%s: %w: it says that its version is %q", c.config.URL, ErrNotRay, Cut(a.RayVersion, maxErrorText))
	case v.Before(least):
		return fmt.Errorf("%s: %w: it is %s, and must be %v or later", c.config.URL, ErrTooOld, a.RayVersion, least)
	}
	return nil
}
