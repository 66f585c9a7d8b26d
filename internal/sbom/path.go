package sbom

import "slices"

// Paths has a shortest way from an image to each of its components.
type Paths struct{ from map[string]string } // ID → ID of what depends on it; "" for the image

// Paths finds the ways to all components.
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

// To lists the IDs of the components on a shortest way from the image to a component, whose
// own is the last. It is nil if the image does not reach the component.
func (p Paths) To(id string) (way []string) {
	for at, reached := p.from[id]; reached; at, reached = p.from[id] {
		way = append(way, id)
		id = at
	}
	slices.Reverse(way)
	return way
}
