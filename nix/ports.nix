# The ports and the health check of a component: a number or a path, or a set with details.
let
  inherit (builtins) attrNames concatMap concatStringsSep elem elemAt filter genList head
    isAttrs isInt length map mapAttrs toString;

  types = import ./types.nix;

  port = (import ./schema.nix).nixComponent.fields.ports.each.long;
  portOf = given: types.filled port (if isInt given then { port = given; } else given);
  all = c: mapAttrs (_: portOf) (c.ports or { });
  shown = p: "${toString p.port}/${p.protocol}";

  # The kinds of health checks.
  kinds = [ "path" "command" "tcp" "grpc" ];
  pairs = list: concatMap
    (i: map (n: { a = elemAt list i; b = elemAt list (i + 1 + n); }) (genList (n: n) (length list - i - 1)))
    (genList (i: i) (length list));

  portProblems = at: where: c:
    let ports = all c; in
    map ({ a, b }: "${types.placeOf c.ports b at}${where}: ports ${a} and ${b} are both ${shown ports.${a}}: keep one of them")
      (filter ({ a, b }: shown ports.${a} == shown ports.${b}) (pairs (attrNames ports)));

  healthProblems = at: where: c:
    let
      health = if isAttrs c.health then c.health else { path = c.health; };
      given = filter (kind: health ? ${kind}) kinds;
      ports = all c;
      named = filter (n: health ? ${n}) [ "port" "tcp" "grpc" ];
      wrong = n:
        if !(ports ? ${health.${n}})
        then [ "${n} is ${types.show health.${n}}, ${if ports == { } then "but there are no ports" else "expected one of the ports ${concatStringsSep ", " (attrNames ports)}"}" ]
        else if ports.${health.${n}}.protocol != "tcp"
        then [ "${n} is ${types.show health.${n}}, which is ${shown ports.${health.${n}}}: expected a TCP port" ]
        else [ ];
    in
    if (c.health or null) == null then [ ]
    else map (problem: "${types.placeOf c "health" at}${where}: health: ${problem}")
      (if length given != 1 then [ "expected exactly one of ${concatStringsSep ", " kinds}" ]
      else if health ? command && (health.command == [ ] || head health.command == "") then [ "command is empty, expected a program and its arguments" ]
      else if health ? port && !(health ? path) then [ "port is only for path: ${head given} ${if health ? command then "needs none" else "has its own" }" ]
      # Without declared ports, upstream's are used.
      else if health ? path && !(health ? port) && ports != { } && filter (n: ports.${n}.protocol == "tcp") (attrNames ports) == [ ]
      then [ "path is ${types.show health.path}, but there is no TCP port" ]
      else concatMap wrong named);
in
{
  # problems AT WHERE COMPONENT: the problems of ports and health with the right types.
  problems = at: where: c: portProblems at where c ++ healthProblems at where c;

  # The ports with all their attributes, by name.
  inherit all;

  # For metadata, by name: the numbers, and the protocols other than tcp.
  numbers = c: mapAttrs (_: p: p.port) (all c);
  protocols = c:
    let ports = all c; in
    mapAttrs (_: p: p.protocol) (removeAttrs ports (filter (n: ports.${n}.protocol == "tcp") (attrNames ports)));

  # The exposed ports of an image: TCP numbers, and others as "443/udp".
  exposed = c:
    let
      list = builtins.attrValues (all c);
      sorted = builtins.sort (a: b: a < b);
      other = sorted (map shown (filter (p: p.protocol != "tcp") list));
    in
    { ports = sorted (map (p: p.port) (filter (p: p.protocol == "tcp") list)); }
    // (if other == [ ] then { } else { otherPorts = other; });

  # The path of an HTTP check, null for another kind.
  path = c: if isAttrs (c.health or null) then c.health.path or null else c.health or null;
  # A check that is a set, with the program's path in the image.
  check = resolve: c:
    if !(isAttrs (c.health or null)) then null
    else c.health // (if c.health ? command then { command = resolve c.health.command; } else { });
}
