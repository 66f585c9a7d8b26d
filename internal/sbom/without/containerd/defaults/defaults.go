// Package defaults has no address of a daemon.
package defaults

const DefaultAddress = ""
