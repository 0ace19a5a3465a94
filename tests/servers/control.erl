%% A door into the test node: a socket file that evaluates one Erlang expression per message and sends the value back.
%% rabbitmqctl answers in 300 ms, this in less than 1 ms, so that a test can poll the state of its queues.
%% Read by the node at start (erl -eval 'file:script(...)'), after RabbitMQ's own boot.
Path = os:getenv("CONTROL_SOCKET"),
_ = file:delete(Path),
{ok, Door} = gen_tcp:listen(0, [binary, {packet, 4}, {active, false}, {ifaddr, {local, Path}}]),

Show = fun(Value) when is_binary(Value) -> Value;
          (Value) -> io_lib:format("~0tp", [Value]) end,
Evaluate = fun(Text) ->
    {ok, Tokens, _} = erl_scan:string(binary_to_list(Text)),
    {ok, Expressions} = erl_parse:parse_exprs(Tokens),
    {value, Value, _} = erl_eval:exprs(Expressions, []),
    Value
end,
Answer = fun(Text) ->
    try ["+", Show(Evaluate(Text))]
    catch Class:Reason -> ["-", Show({Class, Reason})]
    end
end,
Serve = fun Serve(Socket) ->
    case gen_tcp:recv(Socket, 0) of
        {ok, Text} -> gen_tcp:send(Socket, unicode:characters_to_binary(Answer(Text))), Serve(Socket);
        {error, closed} -> gen_tcp:close(Socket)
    end
end,
Accept = fun Accept() ->
    {ok, Socket} = gen_tcp:accept(Door),
    Server = spawn(fun() -> receive go -> Serve(Socket) end end),
    ok = gen_tcp:controlling_process(Socket, Server),
    Server ! go,
    Accept()
end,
%% A socket lives as long as its owner: hand the door to the process that stays.
Porter = spawn(fun() -> receive go -> Accept() end end),
ok = gen_tcp:controlling_process(Door, Porter),
Porter ! go.
