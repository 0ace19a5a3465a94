"""What a RabbitMQ node is asked, in Erlang; `$VHOST` stands for the virtual host."""

# The state machine of a quorum queue is asked itself, its metrics lag by up to five seconds.
# One that was declared at the moment of a kill -9 may come back without a leader: then its metrics have to do.
COUNTS = """
Metrics = fun(Queue) ->
  [N || {_, N} <- rabbit_amqqueue:info(Queue, [messages_ready, messages_unacknowledged])] ++ [0]
end,
rabbit_json:encode(maps:from_list([
  begin
    {resource, _, queue, Name} = amqqueue:get_name(Queue),
    Counts = case amqqueue:get_type(Queue) of
      rabbit_quorum_queue ->
        case ra:consistent_query(amqqueue:get_pid(Queue), fun(S) -> rabbit_fifo:overview(S) end, 2000) of
          {ok, Overview, _} ->
            [maps:get(Key, Overview, 0) || Key <- [num_ready_messages, num_checked_out, num_discarded]];
          _ ->
            Metrics(Queue)
        end;
      _ ->
        Metrics(Queue)
    end,
    {Name, Counts}
  end || Queue <- rabbit_amqqueue:list(<<"$VHOST">>)])).
"""
MEMBERS = """
rabbit_json:encode(maps:from_list([
  begin
    {resource, _, queue, Name} = amqqueue:get_name(Queue),
    {Name, length(maps:get(nodes, amqqueue:get_type_state(Queue)))}
  end || Queue <- rabbit_amqqueue:list(<<"$VHOST">>)])).
"""
CONNECTIONS = """
rabbit_json:encode([maps:from_list(rabbit_networking:connection_info(Each, [ssl, ssl_protocol, peer_cert_subject]))
  || Each <- rabbit_networking:connections(),
     rabbit_networking:connection_info(Each, [vhost]) =:= [{vhost, <<"$VHOST">>}]]).
"""
ADD_VHOST = """
ok = rabbit_vhost:add(<<"$VHOST">>, <<"tests">>),
rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"$VHOST">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>).
"""
