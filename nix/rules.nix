# The rules for needs, settings, services, routes and backups that a type cannot express.
let
  inherit (builtins) attrNames concatMap concatStringsSep elem filter
    foldl' head isAttrs isString length map mapAttrs match split substring stringLength toJSON;

  t = import ./types.nix;
  ports = import ./ports.nix;
  kinds = import ./needs.nix;

  known = names: if names == [ ] then "but there are none" else "expected one of ${concatStringsSep ", " names}";
  valueOf = v: if isString v then v else v.value;
  # problem SET NAME OUTER WHERE TEXT: a line with the position of an attribute.
  problem = set: name: outer: where: text: [ "${t.placeOf set name outer}${where}: ${name}${text}" ];
  each = set: f: concatMap (name: f name set.${name}) (attrNames set);
  without = suffix: text:
    let end = stringLength text - stringLength suffix; in
    if text != suffix && end >= 0 && substring end (stringLength suffix) text == suffix then without suffix (substring 0 end text) else text;
in
rec {
  # placeholders TEMPLATE: the names in its $(NAME); $$( is a literal $(.
  placeholders = text: concatMap (m: filter isString m) (filter builtins.isList (split ''\$\$\(|\$\(([A-Za-z][A-Za-z0-9._-]*)\)'' text));

  # servicesOf NAME COMPONENT: its services; one with its name if it names none and its image
  # has a command.
  servicesOf = name: c: c.services or (if hasCommand c then { ${name} = { }; } else { });
  # hasCommand COMPONENT: false if its image has neither an entrypoint nor a command. Upstream's
  # Containerfile may have one.
  hasCommand = c: c ? containerfile || (c.entrypoint or [ ]) != [ ] || (c.command or [ ]) != [ ];
  # portsOf COMPONENT SERVICE: the names of the ports that a service listens on.
  portsOf = c: s: s.ports or (if s ? command || s ? job then [ ] else attrNames (c.ports or { }));

  # problems AT WHERE APP: the problems of an app whose attributes have the right types.
  problems = at: where: app:
    let
      components = attrNames app.components;
      services = concatMap
        (c: map (s: { name = s; component = c; service = (servicesOf c app.components.${c}).${s}; })
          (attrNames (servicesOf c app.components.${c})))
        components;
      find = name: filter (s: s.name == name) services;
      needs = app.needs or { };
      kindOf = name: needs.${name}.kind or name;

      checkComponents = set: place: what:
        concatMap (c: if elem c components then [ ] else problem set "components" place what ": there is no component ${c}, ${known components}")
          (set.components or [ ]);

      need = name: value:
        let
          kind = kindOf name;
          place = t.placeOf needs name at;
          what = "${where}: needs ${name}";
          parts = kinds.parts.${kind};
          misplaced = filter (n: value ? ${n} && !(elem kind kinds.of.${n})) (attrNames kinds.of);
          missing = filter (n: !(value ? ${n})) (kinds.required.${kind} or [ ]);
          variable = n: v:
            concatMap
              (p: if parts ? ${p} then [ ] else problem value.env n place what ": $(${p}) is not a part of a need of kind ${kind}, ${known (map (p: "$(${p})") (attrNames parts))}")
              (placeholders (valueOf v))
            ++ (if isAttrs v then checkComponents v place "${what}: ${n}" else [ ]);
          # Upstream's Containerfile may have volumes that the definition does not name.
          has = c: elem value.path (app.components.${c}.volumes or [ value.path ]);
          users = value.components or components;
        in
        if !(kinds.parts ? ${kind})
        then [ "${if value ? kind then t.placeOf value "kind" place else place}${where}: unknown need ${kind}, ${if kinds.habits ? ${kind} then "write ${kinds.habits.${kind}}" else "expected a name or kind of ${concatStringsSep ", " (attrNames kinds.parts)}"}" ]
        else
          concatMap (n: problem value n place what " is not for a need of kind ${kind}") misplaced
          ++ map (n: "${place}${what}: ${n} is missing, which a need of kind ${kind} has") missing
          ++ each (value.env or { }) variable
          ++ checkComponents value place what
          ++ (if kind == "volume" && value ? path && !(builtins.any has (filter (c: elem c components) users))
          then problem value "path" place what " is ${toJSON value.path}, expected one of the volumes of ${concatStringsSep ", " users}" else [ ]);

      setting = set: place: what: name: s:
        let
          here = problem s;
          literal = n: s ? ${n} && placeholders s.${n} == [ ];
          number = n: literal n && elem (s.type or "string") [ "integer" "number" ] && match "-?[0-9]+([.][0-9]+)?" s.${n} == null;
          place' = t.placeOf set name place;
          what' = "${what} ${name}";
          # "service.NAME.PORT"; names can have dots.
          address = p: builtins.any (s: elem p (map (port: "service.${s.name}.${port}") (portsOf app.components.${s.component} s.service))) services;
        in
        concatMap
          (n: if s.secret or false && s ? ${n} then here n place' what' ": a secret has no value in the catalogue" else [ ])
          [ "default" "value" ]
        ++ (if s.generate or false && !(s.secret or false) then here "generate" place' what' " is only for secrets" else [ ])
        ++ (if s.required or false && s ? value then here "required" place' what' ", but the catalogue has a value" else [ ])
        ++ concatMap (n: if number n then here n place' what' " is ${toJSON s.${n}}, expected a number" else [ ]) [ "default" "value" ]
        ++ concatMap
          (n: if literal n && s ? values && !(elem s.${n} s.values) then here n place' what' " is ${toJSON s.${n}}, ${known s.values}" else [ ])
          [ "default" "value" ]
        ++ concatMap
          (p: if elem p [ "host" "url" ] || address p then [ ]
          else here "value" place' what' ": $(${p}) is unknown, expected $(host), $(url) or $(service.NAME.PORT) of a service and its port")
          (placeholders (s.value or ""))
        ++ checkComponents s place' what';

      # Each component may get a variable once.
      twice = c:
        let
          takes = need: n: elem c ((if isAttrs need.env.${n} then need.env.${n} else { }).components or need.components or components);
          all = each needs (name: need:
            map (n: { set = need.env; name = n; from = "needs ${name}"; }) (filter (takes need) (attrNames (need.env or { }))))
          ++ map (n: { set = app.config; name = n; from = "config"; }) (filter (n: elem c (app.config.${n}.components or components)) (attrNames (app.config or { })));
        in
        (foldl'
          (seen: v: if seen.names ? ${v.name}
            then seen // { lines = seen.lines ++ problem v.set v.name at where ": ${v.from} and ${seen.names.${v.name}} both set it in component ${c}: keep one of them"; }
            else seen // { names = seen.names // { ${v.name} = v.from; }; })
          { names = { }; lines = [ ]; }
          all).lines;

      service = { name, component, service }:
        let
          c = app.components.${component};
          place = t.placeOf (c.services or { }) name at;
          what = "${where}: component ${component}: service ${name}";
          here = problem service;
          own = builtins.intersectAttrs (builtins.listToAttrs (map (n: { name = n; value = null; }) (portsOf c service))) (c.ports or { });
          # mapAttrs loses positions: the place is that of the check.
          check = n:
            if service ? ${n} then ports.problems (t.placeOf service n place) what (mapAttrs (_: v: v) { ports = own; health = service.${n}; })
            else [ ];
        in
        (if (service.job or null == "scheduled") != (service ? schedule)
        then (if service ? schedule then here "schedule" place what " is only for job = \"scheduled\"" else here "job" place what " is \"scheduled\": schedule is missing") else [ ])
        ++ (if service ? command || hasCommand c then [ ]
        else here "command" place what " is missing, and the image has no entrypoint and no command either")
        ++ concatMap (n: if service ? job && service ? ${n} then here n place what " is not for jobs" else [ ]) [ "ports" "health" "liveness" "replicas" "maxReplicas" ]
        ++ concatMap (p: if c.ports or { } ? ${p} then [ ] else here "ports" place what ": there is no port ${p}, ${known (attrNames (c.ports or { }))}") (service.ports or [ ])
        ++ check "health" ++ check "liveness"
        ++ (if service ? maxReplicas && service.replicas or 1 > service.maxReplicas then here "replicas" place what " is more than maxReplicas" else [ ])
        ++ each (service.config or { }) (setting (service.config or { }) place what);
      repeated = foldl'
        (seen: s: if seen.names ? ${s.name}
          then seen // { lines = seen.lines ++ [ "${t.placeOf (app.components.${s.component}.services or { }) s.name at}${where}: components ${seen.names.${s.name}} and ${s.component} both have a service ${s.name}: name one of them otherwise" ]; }
          else seen // { names = seen.names // { ${s.name} = s.component; }; })
        { names = { }; lines = [ ]; }
        services;

      # What a route or its authorize leads to.
      target = set: place: what:
        let
          found = head (find set.service);
          open = portsOf app.components.${found.component} found.service;
        in
        if find set.service == [ ] then problem set "service" place what ": there is no service ${set.service}, ${known (map (s: s.name) services)}"
        else if found.service ? job then problem set "service" place what ": ${set.service} is a job"
        else if open == [ ] then problem set "service" place what ": ${set.service} has no ports"
        else if set ? port && !(elem set.port open) then problem set "port" place what " is ${toJSON set.port}, ${known open}"
        else if !(set ? port) && length open > 1 then [ "${place}${what}: service ${set.service} has several ports: set port to one of ${concatStringsSep ", " open}" ]
        else [ ];
      routes = app.routes or { };
      route = path: r:
        let place = t.placeOf routes path at; what = "${where}: routes ${path}"; in
        (if (r ? service) == (r ? bucket) then [ "${place}${what}: expected exactly one of service, bucket" ]
        else if r ? service then target r place what
        else if (needs ? ${r.bucket}) && kindOf r.bucket == "bucket" then [ ]
        else problem r "bucket" place what ": there is no need ${r.bucket} of kind bucket")
        ++ (if r ? sticky && length (attrNames r.sticky) != 1 then problem r "sticky" place what ": expected exactly one of query, cookie" else [ ])
        ++ (if r ? authorize then target r.authorize (t.placeOf r "authorize" place) "${what}: authorize" else [ ])
        ++ (if match ".*[*?#\"{}].*|.*//.*" path != null then [ "${place}${what}: expected a plain path, without * ? # \" { } and //" ] else []);
      overlaps = foldl'
        (seen: path:
          let plain = without "/" path; in
          if seen.paths ? ${plain} then seen // { lines = seen.lines ++ [ "${t.placeOf routes path at}${where}: routes ${seen.paths.${plain}} and ${path} overlap: they match the same requests, keep one of them" ]; }
          else seen // { paths = seen.paths // { ${plain} = path; }; })
        { paths = { }; lines = [ ]; }
        (attrNames routes);

      backup = app.backup or null;
    in
    each needs need
    ++ each (app.config or { }) (setting (app.config or { }) at "${where}: config")
    ++ concatMap twice components
    ++ concatMap service services ++ repeated.lines
    ++ each routes route ++ overlaps.lines
    ++ (if backup == null then [ ] else concatMap
      (n: concatMap (name: if needs ? ${name} then [ ] else problem backup n (t.placeOf app "backup" at) "${where}: backup" ": there is no need ${name}, ${known (attrNames needs)}") (backup.${n} or [ ]))
      [ "together" "restoreOrder" ]);

  # missing APPS APP: what an app needs of other apps and they do not have.
  missing = apps: app: each app.needs (name: need:
    let
      other = apps.${need.app};
      what = "${app.name}: needs ${name}";
      chosen = need.component or (head (attrNames other.components));
      open = attrNames (other.components.${chosen}.ports or { });
      at = t.placeOf app.needs name "";
    in
    if (need.kind or name) != "app" then [ ]
    else if !(apps ? ${need.app}) then problem need "app" at what ": there is no app ${need.app}, ${known (attrNames apps)}"
    else if need ? component && !(other.components ? ${need.component}) || !(need ? component) && length (attrNames other.components) > 1
    then problem need (if need ? component then "component" else "app") at what ": ${need.app} has the components ${concatStringsSep ", " (attrNames other.components)}: set component to one of them"
    else if !(elem need.port open) then problem need "port" at what " is ${toJSON need.port}, ${known open}"
    else [ ]);
}
