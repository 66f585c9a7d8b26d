package sbom

import "slices"

// Paths has a shortest path from an image to each of its components.
type Paths struct{ from map[string]string } // ID → ID of a component that depends on it; "" for the image

// Paths returns the paths to all components.
func (d *Document) Paths() Paths {
	dependsOn := make(map[string][]string, len(d.Components))
	for _, c := range d.Components {
		dependsOn[c.ID] = c.DependsOn
	}
	p := Paths{make(map[string]string, len(d.Components))}
	var queue []string
	visit := func(from string, ids []string) {
		for _, id := range ids {
			if _, known := dependsOn[id]; !known {
				continue
			}
			if _, seen := p.from[id]; !seen {
				p.from[id] = from
				queue = append(queue, id)
			}
		}
	}
	visit("", d.DependsOn)
	for len(queue) > 0 {
		id := queue[0]
		queue = queue[1:]
		visit(id, dependsOn[id])
	}
	return p
}

// To lists the IDs of the components on a shortest path from the image to a component. The
// component's own ID is the last. It returns nil if the image does not reach the component.
func (p Paths) To(id string) (way []string) {
	for at, reached := p.from[id]; reached; at, reached = p.from[id] {
		way = append(way, id)
		id = at
	}
	slices.Reverse(way)
	return way
}
