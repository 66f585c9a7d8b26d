// Package docker has the options of a pull that client refuses.
package docker

type (
	Resolver      any
	StatusTracker any
	RegistryHosts any

	ResolverOptions struct {
		Tracker StatusTracker
		Hosts   RegistryHosts
	}
)

func NewInMemoryTracker() StatusTracker    { return nil }
func NewResolver(ResolverOptions) Resolver { return nil }
