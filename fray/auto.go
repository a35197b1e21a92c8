package fray

import "os"

// controllerAddressVariable chooses the backend of KindAuto.
const controllerAddressVariable = "FRAY_CONTROLLER_ADDRESS"

// resolveAuto makes the kind of c concrete: fray if there is a controller address, in an option or
// in the environment, threadpool otherwise.
func resolveAuto(c *jobConfig) Kind {
	if c.address == "" {
		c.address = os.Getenv(controllerAddressVariable) //nolint:forbidigo // to follow the environment is what auto is for
	}
	if c.address == "" {
		return KindThreadPool
	}
	return KindFray
}
