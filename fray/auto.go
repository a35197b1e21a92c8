package fray

import (
	"os"

	"github.com/frayrpc/fray/fray/internal/dial"
)

// rayAddressVariable has the address of a Ray cluster.
const rayAddressVariable = "RAY_ADDRESS"

// environment returns a variable's value.
func environment(name string) string {
	return os.Getenv(name) //nolint:forbidigo // Each use says in its documentation that it follows the environment.
}

// resolveAuto makes the kind of c concrete: fray if there is a controller's address, in an option or
// in the environment; else ray if there is a Ray cluster's; threadpool otherwise.
func resolveAuto(c *jobConfig) Kind {
	if c.address == "" {
		c.address = environment(dial.ControllerVariable)
	}
	if c.address != "" {
		return KindFray
	}
	if c.ray.address == "" {
		c.ray.address = environment(rayAddressVariable)
	}
	if c.ray.address != "" {
		return KindRay
	}
	return KindThreadPool
}
