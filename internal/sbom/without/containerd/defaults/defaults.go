// Package defaults is almost empty: there is no daemon, so it has no address.
package defaults

const DefaultAddress = ""
