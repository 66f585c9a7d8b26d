// Package clio stands in for github.com/anchore/clio, of which the command line of syft
// is made. libre uses syft as a library. It has the names that the library uses.
package clio

import partybus "github.com/wagoodman/go-partybus"

// Identification names a program to those who it downloads from.
type Identification struct{ Name, Version, GitCommit, GitDescription, BuildDate string }

// ExitEvent would ask the command line to end.
func ExitEvent(interrupt bool) partybus.Event {
	return partybus.Event{Type: "clio-exit", Value: interrupt}
}
