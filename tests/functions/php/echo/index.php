<?php
// Returns the event.

function main_handler($event, $context)
{
    return $event;
}
