// Package clio replaces github.com/anchore/clio, which syft's command line uses. libre uses
// syft as a library. This package has the names that the library needs.
package clio

import partybus "github.com/wagoodman/go-partybus"

// Identification would identify a program in downloads.
type Identification struct{ Name, Version, GitCommit, GitDescription, BuildDate string }

// ExitEvent would end the command line.
func ExitEvent(interrupt bool) partybus.Event {
	return partybus.Event{Type: "clio-exit", Value: interrupt}
}
